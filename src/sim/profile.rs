//! The BMC stacks the simulator can be: everything in which they differ from each other.

use std::str::FromStr;
use std::time::Duration;

use super::sol::SolConfig;

/// Which BMC stack a simulated BMC behaves like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum Profile {
    /// What the specification says.
    #[default]
    Spec,
    /// OpenBMC's phosphor-net-ipmid.
    OpenBmc,
    /// The BMC server of go-ipmi.
    GoIpmi,
    /// The BMC server of pyghmi (virtualbmc and others).
    Pyghmi,
    /// OpenIPMI's `ipmi_sim`.
    IpmiSim,
}

/// The name given is not a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownProfile;

impl std::fmt::Display for UnknownProfile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("not a profile: spec, openbmc, go-ipmi, pyghmi or ipmi-sim")
    }
}

impl std::error::Error for UnknownProfile {}

impl FromStr for Profile {
    type Err = UnknownProfile;

    fn from_str(name: &str) -> Result<Self, UnknownProfile> {
        Self::ALL.into_iter().find(|profile| profile.name() == name).ok_or(UnknownProfile)
    }
}

impl std::fmt::Display for Profile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// How a stack judges the session sequence number of what it receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InboundWindow {
    /// Not at all.
    None,
    /// 16 back to 15 ahead of the highest, each number once (§6.12.13).
    Once,
    /// 16 back to 15 ahead of the last one, repeats allowed.
    Repeats,
}

/// How an Open Session Request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RefusalForm {
    /// Tag and status alone.
    TwoBytes,
    /// Up to the remote console session ID.
    EightBytes,
    /// The length of a success, zeros behind the session ID.
    FullLength,
}

/// What a deactivated console is told by the BMC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Farewell {
    /// Nothing.
    Silence,
    /// A SOL packet with the deactivating bit, when another session took it.
    WhenTaken,
    /// A SOL packet with the deactivating bit, however it ended.
    Always,
    /// A SOL Activating request with state 0.
    SolActivating,
}

impl Profile {
    /// Every profile.
    pub const ALL: [Profile; 5] =
        [Self::Spec, Self::OpenBmc, Self::GoIpmi, Self::Pyghmi, Self::IpmiSim];

    /// The name [`FromStr`] takes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Spec => "spec",
            Self::OpenBmc => "openbmc",
            Self::GoIpmi => "go-ipmi",
            Self::Pyghmi => "pyghmi",
            Self::IpmiSim => "ipmi-sim",
        }
    }

    /// The cipher suites of a BMC as shipped.
    pub(super) fn cipher_suites(self) -> &'static [u8] {
        match self {
            Self::Spec => &[0, 1, 2, 3, 6, 7, 8, 11, 12, 15, 16, 17],
            Self::OpenBmc => &[17],
            Self::GoIpmi => &[3, 17],
            Self::Pyghmi => &[3],
            Self::IpmiSim => &[0, 1, 2, 3, 6, 7, 8, 11, 12],
        }
    }

    /// How long a session lives without a valid packet.
    pub(super) fn idle_timeout(self) -> Duration {
        match self {
            Self::IpmiSim => Duration::from_secs(30),
            _ => Duration::from_secs(60),
        }
    }

    /// How long a half-open session lives.
    pub(super) fn half_open_timeout(self) -> Duration {
        match self {
            Self::OpenBmc => Duration::from_secs(3),
            _ => Duration::from_secs(20),
        }
    }

    /// How many sessions there can be, half-open ones included.
    pub(super) fn session_slots(self) -> usize {
        match self {
            Self::OpenBmc => 62,
            Self::GoIpmi => 4,
            Self::Spec => 16,
            Self::Pyghmi | Self::IpmiSim => 63,
        }
    }

    /// Whether a half-open session makes room for a new one when the table is full.
    pub(super) fn evicts_half_open(self) -> bool {
        self == Self::GoIpmi
    }

    /// How received session sequence numbers are judged.
    pub(super) fn inbound_window(self) -> InboundWindow {
        match self {
            Self::Spec => InboundWindow::Once,
            Self::OpenBmc | Self::Pyghmi => InboundWindow::None,
            Self::GoIpmi | Self::IpmiSim => InboundWindow::Repeats,
        }
    }

    /// How an Open Session Request is refused.
    pub(super) fn open_session_refusal(self) -> RefusalForm {
        match self {
            Self::OpenBmc => RefusalForm::FullLength,
            Self::IpmiSim => RefusalForm::TwoBytes,
            _ => RefusalForm::EightBytes,
        }
    }

    /// Whether v1.5 sessions can be opened.
    pub(super) fn speaks_v15(self) -> bool {
        matches!(self, Self::Spec | Self::IpmiSim)
    }

    /// Whether checksums of received LAN messages matter inside an authenticated packet.
    pub(super) fn verifies_checksums(self) -> bool {
        !matches!(self, Self::OpenBmc | Self::Pyghmi)
    }

    /// What the owner of a deactivated SOL is told.
    pub(super) fn farewell(self) -> Farewell {
        match self {
            Self::Spec => Farewell::WhenTaken,
            Self::OpenBmc => Farewell::SolActivating,
            Self::GoIpmi => Farewell::Always,
            Self::Pyghmi | Self::IpmiSim => Farewell::Silence,
        }
    }

    /// Whether SOL stays active when its owner's session is gone.
    pub(super) fn sol_outlives_session(self) -> bool {
        matches!(self, Self::OpenBmc | Self::Pyghmi)
    }

    /// The sizes Activate Payload announces: console to BMC, BMC to console.
    pub(super) fn announced_sol_sizes(self) -> (u16, u16) {
        match self {
            Self::Spec | Self::OpenBmc | Self::GoIpmi => (255, 255),
            Self::Pyghmi => (1, 1),
            Self::IpmiSim => (32, 16384),
        }
    }

    /// The most characters of one SOL packet to the console.
    pub(super) fn sol_characters_out(self) -> usize {
        match self {
            Self::Spec | Self::GoIpmi => 251,
            Self::OpenBmc | Self::IpmiSim => 255,
            Self::Pyghmi => 256,
        }
    }

    /// How much host output waits for the console at most.
    pub(super) fn sol_buffer_len(self) -> usize {
        match self {
            Self::Spec | Self::GoIpmi | Self::Pyghmi => 4096,
            Self::IpmiSim => 16384,
            // Not bounded in that stack; bounded here.
            Self::OpenBmc => 65536,
        }
    }

    /// The SOL configuration of a BMC as shipped.
    pub(super) fn sol_config(self) -> SolConfig {
        let (authentication, interval, threshold, retry_count, retry_interval) = match self {
            Self::Spec => (0x03, 4, 96, 7, 50),
            Self::OpenBmc => (0xc4, 20, 1, 7, 100),
            Self::GoIpmi => (0x02, 10, 251, 3, 5),
            Self::Pyghmi => (0x02, 2, 1, 5, 100),
            Self::IpmiSim => (0x02, 2, 1, 5, 100),
        };
        SolConfig {
            enabled: true,
            authentication,
            accumulate_interval: interval,
            send_threshold: threshold,
            retry_count,
            retry_interval,
            non_volatile_bit_rate: 10,
            volatile_bit_rate: 10,
            set_in_progress: 0,
        }
    }
}
