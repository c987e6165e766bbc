//! The command line: that of `ipmitool -I lanplus ... sol activate`, and a few more options.

use std::time::Duration;

use bmclink::{BmcConfig, ConsoleConfig};
use clap::{ArgAction, Parser};

use crate::escape::EscapeCharacter;
use crate::failure::Failure;
use crate::sequence::Sequence;
use crate::target::{Target, usage};

const MORE: &str = "\
For programs that run one such command per console, such as conman and conserver; see
examples/console_servers/. It never asks for anything, and it stays: a connection that is lost,
or cannot be made, is tried again. It ends with its input, with its output, by a signal, by the
escape character and '.', or when --exit-on-loss says so.

What happens is told in lines of its own among the output: [bmclink: ...]. What is typed while
there is no connection is dropped and never sent later; such a key has it tried at once.

Signals:
  USR1                  sends a break
  USR2                  reads the password of -f again; a new one is used at once. The file is also
                        looked at every 5 seconds
  TERM, HUP, INT, QUIT  close SOL at the BMC and end

Exit status:
  0        its input or output has ended, or it was told to end
  1        another error, or some of its input had not gone through when it ended
  2        wrong usage
  3        user, password, K_g or privilege level refused
  4        BMC not reached: no answer, connection refused, unknown name
  5        turned away: cipher suite, no free session, SOL disabled, in use or refused
  6        connection lost
  128 + N  ended by signal N
3 to 6 only with --exit-on-loss.
";

/// Keeps the serial console of a BMC connected to standard input and output
#[derive(Parser)]
#[command(name = "sol", after_help = MORE)]
#[command(mut_arg("host", |host| host.required(true)))]
pub struct Options {
    #[command(flatten)]
    pub target: Target,
    /// Escape character at the start of a line, or 'none' [default: ~ on a terminal, else none]
    #[arg(short, value_name = "ESCAPE")]
    pub escape: Option<EscapeCharacter>,
    /// What stands for a break, anywhere in the input and in one piece, as '&B' for conman; ^X is a
    /// control character, \ooo a byte in octal, \\ and \^ are themselves
    #[arg(long, value_name = "STRING")]
    pub break_string: Option<Sequence>,
    /// Print nothing but what the console prints
    #[arg(short, long)]
    pub silent: bool,
    /// End when a connection cannot be made or is lost
    #[arg(long)]
    pub exit_on_loss: bool,
    /// Seconds without any answer after which the connection is taken for lost; a BMC that restarts
    /// often shows sooner
    #[arg(long, value_name = "S", default_value_t = 45,
          value_parser = clap::value_parser!(u16).range(1..=3600))]
    lost_after: u16,
    /// When the input has ended, wait until the console is silent for so long
    #[arg(long, value_name = "MS", default_value_t = 500)]
    linger: u32,
    /// As with ipmitool; nothing else is spoken
    #[arg(short = 'I', value_name = "INTERFACE", value_parser = ["lanplus"])]
    interface: Option<String>,
    /// Say on standard error what happens; twice for every detail
    #[arg(short, action = ArgAction::Count)]
    pub verbose: u8,
    /// 'sol activate [instance=N]', as with ipmitool; may be left out
    #[arg(value_name = "COMMAND")]
    words: Vec<String>,
}

impl Options {
    pub fn linger(&self) -> Duration {
        Duration::from_millis(self.linger.into())
    }

    /// The BMC, who logs in, and how.
    pub fn bmc(&self) -> Result<BmcConfig, Failure> {
        let host = self.target.host.as_deref().unwrap_or_default();
        let mut config = self.target.adjust(self.target.bmc(host, false)?);
        config.timing.lost_after = Duration::from_secs(self.lost_after.into());
        Ok(config)
    }

    /// How the console is run.
    pub fn console(&self) -> Result<ConsoleConfig, Failure> {
        let mut config = self.target.console().always_on();
        let words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        let options = match words.as_slice() {
            [] => &[],
            ["sol", "activate", options @ ..] => options,
            _ => return Err(usage(format!("'{}' is not 'sol activate'", words.join(" ")))),
        };
        for option in options {
            let instance = option.strip_prefix("instance=").and_then(|n| n.parse::<u8>().ok());
            config = match instance {
                Some(instance @ 1..=15) => config.instance(instance),
                _ => return Err(usage(format!("'{option}' is not 'instance=' and 1 to 15"))),
            };
        }
        Ok(config)
    }
}
