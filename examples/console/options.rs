//! The command line.

use std::time::Duration;

use clap::{ArgAction, Parser};

use crate::escape::EscapeCharacter;
use crate::target::Target;

const MORE: &str = "\
Without -H a BMC is simulated in this process. When standard input is not a terminal this is a
filter: standard input goes to the console, and the console to standard output, byte for byte.

-P, -k and -y show the secret to everybody who can list processes; -E, -K, -f, --password-fd
and being asked, when none of these is given, do not.

Exit status:
  0        all is well
  1        another error, or a filter could not pass on everything
  2        wrong usage
  3        user, password, K_g or privilege level refused
  4        BMC not reached: no answer, connection refused, unknown name
  5        turned away: cipher suite, no free session, SOL disabled, in use or refused
  6        connection lost
  128 + N  ended by signal N
";

/// Attaches this terminal to the serial console of a BMC, by IPMI 2.0 Serial over LAN
#[derive(Parser)]
#[command(name = "console", after_help = MORE)]
pub struct Options {
    #[command(flatten)]
    pub target: Target,
    /// Escape character on a terminal, or 'none'
    #[arg(short, value_name = "ESCAPE", default_value = "~")]
    pub escape: EscapeCharacter,
    /// Seconds that connecting may take
    #[arg(long, value_name = "S", default_value_t = 20,
          value_parser = clap::value_parser!(u32).range(1..))]
    timeout: u32,
    /// As a filter, end when the input has and the console is silent for so long
    #[arg(long, value_name = "MS", default_value_t = 500)]
    linger: u32,
    /// Say what happens; twice for every detail
    #[arg(short, action = ArgAction::Count)]
    pub verbose: u8,
}

impl Options {
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout.into())
    }

    pub fn linger(&self) -> Duration {
        Duration::from_millis(self.linger.into())
    }
}
