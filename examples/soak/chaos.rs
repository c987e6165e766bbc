//! What goes wrong.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use bmclink::sim::net::Faults;

use crate::check::Stream;
use crate::fleet::{Fleet, GROUP, NOBODY, console_config, password};

/// How much goes wrong in a second at 2,000 BMCs, and at a few.
const PER_SECOND: u64 = 200;
const PER_SECOND_MIN: u64 = 40;
/// In how many turns a second is divided.
const TURNS: u64 = 20;
/// How long something stays wrong at most.
const WRONG_MAX: u64 = 15_000;

/// What is set right again later.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Wrong {
    Unreachable,
    Elsewhere,
    /// The credentials of this group are not those of its BMCs.
    Password,
}

pub struct Chaos<'a> {
    fleet: &'a Fleet,
    random: u64,
    /// What is wrong, where, and until when.
    wrong: Vec<(Instant, usize, Wrong)>,
    /// The number of each group's password.
    passwords: Vec<u64>,
    counts: BTreeMap<&'static str, u64>,
    /// What a reader that came and went found.
    problem: Option<String>,
}

impl<'a> Chaos<'a> {
    pub fn new(fleet: &'a Fleet, seed: u64) -> Self {
        let passwords = vec![0; fleet.credentials.len()];
        let (wrong, counts) = (Vec::new(), BTreeMap::new());
        Chaos { fleet, random: seed, wrong, passwords, counts, problem: None }
    }

    pub fn connected(&self) -> usize {
        self.fleet.connected()
    }

    pub fn summary(&self) -> String {
        let counts = self.counts.iter().map(|(what, count)| format!("{count} {what}"));
        counts.collect::<Vec<_>>().join(", ")
    }

    /// splitmix64, below a limit.
    fn below(&mut self, limit: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }

    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    fn is_wrong(&self, number: usize) -> bool {
        self.wrong.iter().any(|(_, other, _)| *other == number)
    }

    /// A turn of it.
    pub fn disturb(&mut self) -> Result<(), String> {
        let now = Instant::now();
        let over: Vec<_> = self.wrong.extract_if(.., |(until, _, _)| *until <= now).collect();
        for (_, number, wrong) in over {
            self.set_right(number, wrong);
        }
        let bmcs = self.fleet.places.len() as u64;
        let per_second = (PER_SECOND * bmcs / 2000).max(PER_SECOND_MIN);
        for _ in 0..per_second / TURNS {
            let number = self.below(bmcs) as usize;
            self.disturb_one(now, number);
        }
        if self.below(40) == 0 {
            self.change_network();
        }
        thread::sleep(Duration::from_millis(1000 / TURNS));
        self.problem.take().map_or(Ok(()), Err)
    }

    fn disturb_one(&mut self, now: Instant, number: usize) {
        let place = &self.fleet.places[number];
        let simulator = &self.fleet.simulator;
        let until = now + Duration::from_millis(self.below(WRONG_MAX));
        match self.below(20) {
            0 => {
                self.count("resets");
                simulator.with(number, |bmc, now| bmc.reset(now));
            }
            1 if !self.is_wrong(number) => {
                self.count("absences");
                simulator.set_reachable(number, false);
                self.wrong.push((until, number, Wrong::Unreachable));
            }
            2 => {
                self.count("steals");
                simulator.with(number, |bmc, now| bmc.steal_sol(now));
            }
            3 | 4 => {
                self.count("floods");
                place.flood(100);
            }
            5 | 6 if !self.is_wrong(number) => {
                self.count("moves");
                let mut away = place.home.clone();
                away.host = std::net::Ipv4Addr::from(NOBODY).to_string();
                let _ = place.bmc.reconfigure(away);
                self.wrong.push((until, number, Wrong::Elsewhere));
            }
            7 if self.below(GROUP as u64 / 4) == 0 => self.change_password(until, number),
            8..12 => self.attach(number),
            12..15 => {
                self.count("commands");
                // Answered or not: nobody waits long for it.
                let _ = place.bmc.raw(6, 0, 1, &[], Duration::from_millis(20));
            }
            15 => {
                self.count("console reconfigurations");
                let mut config = console_config();
                config.retransmit_first = Duration::from_millis(400 + self.below(2) * 100);
                let _ = place.console.reconfigure(config);
            }
            _ => {
                self.count("lines typed");
                let _ = place.console.write(b"some input\r", Duration::from_millis(1));
            }
        }
    }

    /// The BMCs of a group have another password. Sooner or later so has who logs in there.
    fn change_password(&mut self, until: Instant, number: usize) {
        let group = number / GROUP;
        if self.wrong.iter().any(|(_, other, wrong)| *wrong == Wrong::Password && *other == group) {
            return;
        }
        self.count("passwords");
        self.passwords[group] += 1;
        let password = password(self.passwords[group]);
        let first = group * GROUP;
        for number in first..(first + GROUP).min(self.fleet.places.len()) {
            let bytes = password.as_bytes();
            self.fleet.simulator.with(number, |bmc, _| bmc.set_password(b"admin", bytes));
        }
        self.wrong.push((until, group, Wrong::Password));
    }

    /// Somebody looks at a console for a moment: what is kept of it, and what comes.
    fn attach(&mut self, number: usize) {
        self.count("readers");
        let mut reader = self.fleet.places[number].console.reader();
        let mut stream = Stream::new();
        let mut buffer = [0; 4096];
        while let Ok(len) = reader.read(&mut buffer, Duration::ZERO) {
            // No gap is counted here: which of them it met is not known.
            if let Err(problem) = stream.take(&buffer[..len]) {
                let problem = format!("console {number}, seen by one who came later: {problem}");
                self.problem.get_or_insert(problem);
                return;
            }
        }
    }

    fn change_network(&mut self) {
        self.count("changes of the network");
        let bad = self.below(3) == 0;
        let part = |percent: u64| if bad { percent as f64 / 100.0 } else { 0.0 };
        let faults = Faults {
            loss: part(self.below(30)),
            duplicate: part(self.below(10)),
            reorder: part(self.below(10)),
            corrupt: part(self.below(5)),
            delay: Duration::ZERO..Duration::from_millis(self.below(20)),
            ..Faults::default()
        };
        self.fleet.simulator.set_faults(faults.clone(), faults);
    }

    fn set_right(&mut self, number: usize, wrong: Wrong) {
        match wrong {
            Wrong::Unreachable => self.fleet.simulator.set_reachable(number, true),
            Wrong::Elsewhere => {
                let place = &self.fleet.places[number];
                let _ = place.bmc.reconfigure(place.home.clone());
            }
            Wrong::Password => {
                let password = password(self.passwords[number]);
                let _ = self.fleet.credentials[number].update(b"admin", password.as_bytes(), b"");
            }
        }
    }

    /// Sets everything right.
    pub fn mend(&mut self) {
        self.fleet.simulator.set_faults(Faults::default(), Faults::default());
        for (_, number, wrong) in std::mem::take(&mut self.wrong) {
            self.set_right(number, wrong);
        }
    }
}
