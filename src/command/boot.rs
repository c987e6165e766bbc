//! What the system boots from (§28.12 to §28.14, Table 28-14).

use super::dialog::Dialog;
use super::parameters::{Parameters, Write};
use super::reply::Fields;
use crate::error::{Error, Result};

const VALID_BIT_CLEARING: u8 = 3;
const BOOT_INFO_ACKNOWLEDGE: u8 = 4;
const BOOT_FLAGS: u8 = 5;
const NAME: &str = "Get System Boot Options";
/// All that can end the validity of boot flags before they were used.
const KEEP_VALID: u8 = 0x1f;

/// What to boot from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum BootDevice {
    /// As it is set up in the BIOS.
    #[default]
    None,
    /// The network (PXE).
    Pxe,
    /// The default hard disk.
    Disk,
    /// The same, in safe mode.
    DiskSafeMode,
    /// The default diagnostic partition.
    DiagnosticPartition,
    /// The default CD or DVD.
    CdDvd,
    /// The BIOS setup.
    BiosSetup,
    /// A remote floppy or removable medium.
    RemoteFloppy,
    /// A remote CD or DVD.
    RemoteCdDvd,
    /// The primary remote medium.
    RemoteMedia,
    /// A remote hard disk.
    RemoteDisk,
    /// A floppy or the primary removable medium.
    Floppy,
    /// A number without a name, 0 to 15.
    Other(u8),
}

/// Whether the BIOS sends its console to the serial port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ConsoleRedirection {
    /// As it is set up in the BIOS.
    #[default]
    BiosDefault,
    /// It does not.
    Skip,
    /// It does.
    Request,
    /// The reserved number, 3.
    Other,
}

/// How to boot. By default: once, legacy BIOS, and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct BootOptions {
    /// At every boot, not just the next one.
    pub persistent: bool,
    /// By EFI, not by a legacy BIOS.
    pub efi: bool,
    /// The BIOS forgets its settings.
    pub clear_cmos: bool,
    /// The keyboard is locked.
    pub lock_keyboard: bool,
    /// The screen stays blank.
    pub blank_screen: bool,
    /// The reset button is locked.
    pub lock_reset_button: bool,
    /// The power button is locked.
    pub lock_power_button: bool,
    /// The sleep button is locked.
    pub lock_sleep_button: bool,
    /// How much the BIOS prints: 0 its default, 1 quiet, 2 verbose; up to 3.
    pub verbosity: u8,
    /// The BIOS sends progress events.
    pub progress_traps: bool,
    /// The BIOS asks for no user password.
    pub bypass_user_password: bool,
    /// Where the BIOS prints.
    pub console_redirection: ConsoleRedirection,
    /// The BIOS may for a while set its port to "shared".
    pub shared_mode_override: bool,
    /// What the BIOS does with the serial port's multiplexer, 0 to 7; 0 is as recommended.
    pub mux_override: u8,
    /// Which one of several devices, 0 to 31; 0 is none in particular.
    pub device_instance: u8,
    /// When written only: the flags stay valid until they are used, though the reset comes later
    /// than 60 s after this and by whatever means. See [`Dialog::set_boot`].
    pub keep_valid: bool,
}

/// The boot flags as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct BootFlags {
    /// Whether they count: they were written, and not used or cleared since.
    pub valid: bool,
    /// What is booted from.
    pub device: BootDevice,
    /// How.
    pub options: BootOptions,
}

impl BootDevice {
    const NAMED: [(u8, BootDevice); 12] = [
        (0, BootDevice::None),
        (1, BootDevice::Pxe),
        (2, BootDevice::Disk),
        (3, BootDevice::DiskSafeMode),
        (4, BootDevice::DiagnosticPartition),
        (5, BootDevice::CdDvd),
        (6, BootDevice::BiosSetup),
        (7, BootDevice::RemoteFloppy),
        (8, BootDevice::RemoteCdDvd),
        (9, BootDevice::RemoteMedia),
        (0x0b, BootDevice::RemoteDisk),
        (0x0f, BootDevice::Floppy),
    ];

    /// The device of a number.
    pub fn from_number(number: u8) -> Self {
        let named = Self::NAMED.iter().find(|(own, _)| *own == number);
        named.map_or(BootDevice::Other(number), |(_, device)| *device)
    }

    /// Its number, 0 to 15.
    pub fn number(self) -> u8 {
        match self {
            BootDevice::Other(number) => number,
            named => {
                let found = Self::NAMED.iter().find(|(_, device)| *device == named);
                found.map_or(0, |(number, _)| *number)
            }
        }
    }
}

impl ConsoleRedirection {
    fn from_number(number: u8) -> Self {
        [Self::BiosDefault, Self::Skip, Self::Request, Self::Other][usize::from(number & 3)]
    }
}

impl BootFlags {
    fn read(data: &[u8]) -> Result<Self> {
        let [a, b, c, d, e] = Fields::of(NAME, data).array()?;
        let options = BootOptions {
            persistent: a & 0x40 != 0,
            efi: a & 0x20 != 0,
            clear_cmos: b & 0x80 != 0,
            lock_keyboard: b & 0x40 != 0,
            blank_screen: b & 0x02 != 0,
            lock_reset_button: b & 0x01 != 0,
            lock_power_button: c & 0x80 != 0,
            verbosity: c >> 5 & 3,
            progress_traps: c & 0x10 != 0,
            bypass_user_password: c & 0x08 != 0,
            lock_sleep_button: c & 0x04 != 0,
            console_redirection: ConsoleRedirection::from_number(c),
            shared_mode_override: d & 0x08 != 0,
            mux_override: d & 7,
            device_instance: e & 0x1f,
            keep_valid: false,
        };
        let device = BootDevice::from_number(b >> 2 & 0x0f);
        Ok(BootFlags { valid: a & 0x80 != 0, device, options })
    }

    fn write(self) -> [u8; 5] {
        let bit = |set: bool, bit: u8| if set { bit } else { 0 };
        let options = self.options;
        [
            bit(self.valid, 0x80) | bit(options.persistent, 0x40) | bit(options.efi, 0x20),
            bit(options.clear_cmos, 0x80)
                | bit(options.lock_keyboard, 0x40)
                | (self.device.number() & 0x0f) << 2
                | bit(options.blank_screen, 0x02)
                | bit(options.lock_reset_button, 0x01),
            bit(options.lock_power_button, 0x80)
                | (options.verbosity & 3) << 5
                | bit(options.progress_traps, 0x10)
                | bit(options.bypass_user_password, 0x08)
                | bit(options.lock_sleep_button, 0x04)
                | options.console_redirection as u8,
            bit(options.shared_mode_override, 0x08) | options.mux_override & 7,
            options.device_instance & 0x1f,
        ]
    }

    fn check(&self) -> Result<()> {
        let fits = self.device.number() <= 0x0f
            && self.options.verbosity <= 3
            && self.options.mux_override <= 7
            && self.options.device_instance <= 0x1f;
        fits.then_some(()).ok_or_else(|| Error::misuse("a boot option is out of its range"))
    }
}

impl Dialog {
    /// Get System Boot Options, boot flags (§28.13): what the system boots from next. What a BMC
    /// marks as invalid is not `valid`, with everything else at its default.
    pub async fn boot_flags(&self) -> Result<BootFlags> {
        let (data, marked) = Parameters::Boot.read(self, BOOT_FLAGS, 0).await?;
        match marked {
            true => Ok(BootFlags::default()),
            false => BootFlags::read(&data),
        }
    }

    /// Set System Boot Options (§28.12): what to boot from, at the next boot or at every one.
    ///
    /// A BMC forgets it 60 s later unless the system is reset by then, best by
    /// [`power`](Self::power). With [`BootOptions::keep_valid`] it does not, and the result is
    /// what the BMC's parameter 3 was before: hand it to
    /// [`set_boot_valid_clearing`](Self::set_boot_valid_clearing) when the system has booted.
    ///
    /// Fails with `Misuse` when an option is out of range; with `Completion` and 81h when
    /// somebody else goes on changing boot options for 5 s. What was begun is ended also when it
    /// fails.
    pub async fn set_boot(&self, device: BootDevice, options: BootOptions) -> Result<Option<u8>> {
        let flags = BootFlags { valid: true, device, options };
        flags.check()?;
        let before = match options.keep_valid {
            true => Some(self.boot_valid_clearing().await?),
            false => None,
        };
        let mut writes =
            Vec::from_iter(before.map(|_| Write::new(VALID_BIT_CLEARING, [KEEP_VALID])));
        let undo = Vec::from_iter(before.map(|before| Write::new(VALID_BIT_CLEARING, [before])));
        // As if the BIOS had handled what was there: it looks for what is new then. Some BMCs
        // have no such parameter.
        writes.push(Write::new(BOOT_INFO_ACKNOWLEDGE, [1, 1]).optional());
        writes.push(Write::new(BOOT_FLAGS, flags.write()));
        Parameters::Boot.write_all(self, &writes, &undo).await?;
        Ok(before)
    }

    /// Takes back what [`set_boot`](Self::set_boot) set: the system boots as its BIOS has it.
    pub async fn clear_boot(&self) -> Result<()> {
        let flags = Write::new(BOOT_FLAGS, BootFlags::default().write());
        Parameters::Boot.write_all(self, &[flags], &[]).await
    }

    /// Get System Boot Options, parameter 3: what does *not* end the validity of boot flags, as
    /// sent. Bits: 0 power-up by button, 1 reset by button, 2 reset by watchdog, 3 60 s without
    /// chassis control, 4 reset by PEF.
    pub async fn boot_valid_clearing(&self) -> Result<u8> {
        let (data, _) = Parameters::Boot.read(self, VALID_BIT_CLEARING, 0).await?;
        Ok(Fields::of(NAME, &data).u8()? & KEEP_VALID)
    }

    /// Sets the same, bits 0 to 4.
    pub async fn set_boot_valid_clearing(&self, bits: u8) -> Result<()> {
        if bits & !KEEP_VALID != 0 {
            return Err(Error::misuse("only bits 0 to 4 have a meaning"));
        }
        let write = Write::new(VALID_BIT_CLEARING, [bits]);
        Parameters::Boot.write_all(self, &[write], &[]).await
    }
}
