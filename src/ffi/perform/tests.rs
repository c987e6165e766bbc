//! The comment of bmclink_command_new, which is all that C programmers get to see of this, says
//! what is so.

use std::collections::BTreeSet;

#[cfg(feature = "sim")]
use super::super::table::Value;
use super::{Arguments, all};

type Names = BTreeSet<String>;

/// What the comment says of one command.
struct Documented {
    names: Names,
    takes: Names,
    gives: Names,
}

/// The list in the comment of bmclink_command_new.
fn documented() -> Vec<Documented> {
    let text = include_str!("../command.rs");
    let start = text.find("/// - raw: ").expect("the list begins with raw");
    let end = text.find("/// Numbers unless said").expect("something follows the list");
    let list = text[start..end].replace("\n///", "");
    let list = list.strip_prefix("/// ").expect("it begins so");
    list.split(" - ").map(|entry| of_one(entry.trim_start_matches("- ").trim())).collect()
}

/// `names: takes -> gives. Remarks`, each a list with commas, with remarks in parentheses.
fn of_one(entry: &str) -> Documented {
    let entry = without_parentheses(entry);
    let entry = entry.split(". ").next().unwrap_or_default().trim_end_matches('.');
    let (left, gives) = entry.split_once("->").unwrap_or((entry, ""));
    let (names, takes) = left.split_once(':').unwrap_or((left, ""));
    Documented { names: listed(names), takes: listed(takes), gives: listed(gives) }
}

fn without_parentheses(text: &str) -> String {
    let mut depth = 0;
    let outside = |c: &char| {
        depth += i32::from(*c == '(');
        let outside = depth == 0;
        depth -= i32::from(*c == ')');
        outside
    };
    text.chars().filter(outside).collect()
}

/// The first word of each thing in a list.
fn listed(text: &str) -> Names {
    let first = |item: &str| item.split_whitespace().next().map(str::to_owned);
    let items = text.split(',').filter_map(first);
    items.map(|word| word.trim_matches(['[', ']']).to_owned()).collect()
}

#[test]
fn every_command_is_in_the_header_with_its_arguments() {
    let documented = documented();
    let mut named = Names::new();
    for entry in &documented {
        for name in &entry.names {
            assert!(named.insert(name.clone()), "{name} is there twice");
            let command = all().find(|command| command.name == name);
            let command = command.unwrap_or_else(|| panic!("there is no {name}"));
            let takes: Names = command.arguments.iter().map(|&name| name.to_owned()).collect();
            assert_eq!(entry.takes, takes, "{name}");
        }
    }
    let there: Names = all().map(|command| command.name.to_owned()).collect();
    assert_eq!(named, there);
}

#[test]
fn what_is_set_and_not_taken_is_named() {
    let entry = super::find("power").expect("there is power");
    let error = entry.argument("no_such").expect_err("it takes none of that name");
    assert!(error.to_string().contains("action"), "{error}");
    assert!(super::find("no_such").is_err());
}

/// Something that a command takes by this name.
#[cfg(feature = "sim")]
fn example(command: &str, argument: &str) -> Option<Value> {
    Some(match argument {
        "net_fn" => 6.into(),
        "cmd" | "on" | "ipmi" => 1.into(),
        "action" => "on".into(),
        "wait_ms" => 10_000.into(),
        "policy" => "previous".into(),
        "device" => "pxe".into(),
        "name" => command.get(..16).unwrap_or(command).into(),
        "password" => "secret".into(),
        "privilege" => "operator".into(),
        // The last one of those the simulator begins with, and not the one that logs in.
        "id" => 4.into(),
        "bit_rate" => 115_200.into(),
        "asset_tag" => "rack 7".into(),
        "time" => 1_800_000_000.into(),
        "gateway" => "192.0.2.7".into(),
        "mode" => "always".into(),
        "sol" => 1.into(),
        "limit" => 500.into(),
        "controller_id" => "rack 7".into(),
        "k_g" => "0123456789".into(),
        _ => return None,
    })
}

#[cfg(feature = "sim")]
#[test]
fn commands_give_what_the_header_names_and_nothing_else() {
    use crate::sim::{Serial, Simulator, SimulatorOptions};
    use crate::{BmcConfig, CompletionCode, Credentials, Engine, EngineConfig};

    let timeout = std::time::Duration::from_secs(60);
    let options = SimulatorOptions { serial: Serial::None, ..SimulatorOptions::default() };
    let simulator = Simulator::start(options).expect("a simulator");
    let address = simulator.address(0);
    let engine = Engine::new(EngineConfig::default()).expect("an engine");
    let credentials = Credentials::new("admin", "password").expect("credentials");
    let config = BmcConfig::new(address.ip().to_string(), credentials).port(address.port());
    let bmc = engine.bmc(config).expect("a BMC");
    // Something for its event log.
    let mut event = [0; 16];
    event[2] = 0xe0;
    bmc.raw(0x0a, 0, 0x44, &event, timeout).expect("it takes entries");
    // What resets the BMC comes last.
    let (resets, others): (Vec<_>, Vec<_>) =
        documented().into_iter().partition(|entry| entry.names.contains("cold_reset"));
    for entry in others.into_iter().chain(resets) {
        for name in &entry.names {
            let command = super::find(name).expect("it is there");
            let mut arguments = Arguments::default();
            for argument in command.arguments {
                if let Some(value) = example(name, argument) {
                    arguments.set(argument, value);
                }
            }
            let perform = async |dialog| (command.perform)(dialog, arguments.clone()).await;
            let table = match bmc.run(timeout, perform) {
                // Not every BMC has it, and neither has every simulator.
                Err(error) if error.completion_code() == Some(CompletionCode::INVALID_COMMAND) => {
                    assert_eq!(name, "warm_reset", "{error}");
                    continue;
                }
                result => result.unwrap_or_else(|error| panic!("{name}: {error}")),
            };
            assert_eq!(table.rows.is_empty(), entry.gives.is_empty(), "{name}");
            for field in table.rows.iter().flat_map(|row| row.fields()) {
                let field = field.name.to_str().expect("a name in UTF-8");
                assert!(entry.gives.contains(field), "{name} gives {field}");
            }
        }
    }
}
