//! How the commands are used.

/// Says everything, on standard output.
pub fn all() {
    out!("{}", text());
}

/// What can be behind `-o`: ipmitool's names, and the library's own.
pub fn types() {
    let own: Vec<_> = bmclink::Quirk::ALL.iter().map(|quirk| quirk.name()).collect();
    out!("OEM Support: supermicro quanta intelplus icts i82571spt");
    out!("Nothing has to be done for: intelwv2 ibm kontron");
    out!("More: {}", own.join(" "));
}

pub fn text() -> String {
    format!("{OPTIONS}\n{}", commands())
}

pub fn commands() -> &'static str {
    COMMANDS
}

const OPTIONS: &str = "\
usage: bl [options] command

  -h  this help               -V  the version
  -v  say more (again: more)  -c  comma separated values
  -H NAME   the BMC; without it one is simulated
  -I lanplus|lan   IPMI 2.0 (the default) or 1.5
  -p PORT  -U USER  -L LEVEL[+]  -C SUITE  -A AUTHTYPE
  -E        password from IPMITOOL_PASSWORD or IPMI_PASSWORD
  -f FILE   password from the first line of a file
  -a        ask for the password
  -P PASSWORD   visible in the list of processes until it is overwritten
  -K | -Y | -k KG | -y HEX   K_g from IPMI_KGKEY, by asking, as text, in hexadecimal
  -N SECONDS   how long an answer is waited for  -R TIMES  how often it is asked for again
  -t ADDRESS -b CHANNEL   a controller behind the BMC
  -T ADDRESS -B CHANNEL   the controller between the two
  -l LUN  -m ADDRESS  -e CHARACTER  -S FILE of `sdr dump`  -o TYPE | list
";

const COMMANDS: &str = "\
Commands: chassis power mc sdr sensor sel fru user channel lan sol raw session dcmi
Each says how it is used when it is given `help`.";

pub const RAW: &str = "RAW Commands:  raw <netfn> <cmd> [data]";
pub const CHASSIS: &str = "\
Chassis Commands: status, power, policy, restart_cause, poh, identify, selftest, bootdev,
                  bootparam";
pub const POWER: &str = "chassis power Commands: status, on, off, cycle, reset, diag, soft";
pub const IDENTIFY: &str = "\
chassis identify <seconds, 0 is off>
chassis identify force";
pub const POLICY: &str = "chassis policy <list | always-on | previous | always-off>";
pub const BOOTDEV: &str = "\
bootdev <none | pxe | disk | safe | diag | cdrom | bios | floppy> [clear-cmos=yes|no]
bootdev <device> [options=help,...]";
pub const BOOT_OPTIONS: &str = "\
Legal options: help valid persistent efiboot clear-cmos lockkbd screenblank lockoutreset
  lockout_power lockout_sleep force_pet upw_bypass verbose=default|no|yes
  cons_redirect=default|skip|enable";
pub const BOOTPARAM: &str = "\
bootparam get <param #>
bootparam set bootflag <none | force_pxe | force_disk | force_safe | force_diag | force_cdrom |
                        force_bios>";
pub const MC: &str = "\
MC Commands:
  info
  guid [auto | smbios | ipmi | rfc4122 | dump]
  reset <warm | cold>
  selftest";
pub const MC_RESET: &str = "usage: mc reset <warm|cold>";
pub const SESSION: &str = "Session Commands: info <active | all | id 0xnnnnnnnn | handle 0xnn>";
pub const USER: &str = "\
User Commands:
  summary [<channel>]        list [<channel>]
  set name <id> <name>       set password <id> [<password> [<16|20>]]
  enable <id>                disable <id>
  priv <id> <level> [<channel>]
  test <id> <16|20> [<password>]
Levels: 1 callback, 2 user, 3 operator, 4 administrator, 5 OEM, 15 no access
Without a password it is asked for.";
pub const CHANNEL: &str = "\
Channel Commands:
  info [<channel>]           authcap <channel> <level>
  getaccess <channel> [<user id>]
  setaccess <channel> <user id> [callin=on|off] [ipmi=on|off] [link=on|off] [privilege=<level>]
  getciphers <ipmi|sol> [<channel>]
Levels: 1 callback, 2 user, 3 operator, 4 administrator, 5 OEM, 15 no access";
pub const LAN: &str = "\
LAN Commands:
  print [<channel>]
  set <channel> <command> <parameter>";
pub const LAN_SET: &str = "
usage: lan set <channel> <command> <parameter>

  ipaddr | netmask <x.x.x.x>       macaddr <x:x:x:x:x:x>
  ipsrc <none | static | dhcp | bios>
  defgw | bakgw <ipaddr <x.x.x.x> | macaddr <x:x:x:x:x:x>>
  snmp <community>                 arp <respond | generate> <on | off>
  arp interval <seconds>           vlan <id <off | 1-4094> | priority <0-7>>
  access <on | off>                auth <CALLBACK|USER|OPERATOR|ADMIN> <NONE,MD2,MD5,PASSWORD,OEM>
  cipher_privs <15 of X c u o a O>
  bad_pass_thresh <count> <1|0> <reset interval> <lockout interval>";
pub const LAN_SOURCE: &str = "lan set <channel> ipsrc <none | static | dhcp | bios>";
pub const LAN_ARP: &str = "\
lan set <channel> arp <respond | generate> <on | off>
lan set <channel> arp interval <seconds>";
pub const SOL: &str = "\
SOL Commands: info [<channel>]
              set <parameter> <value> [<channel> [noguard]]
              payload <enable | disable | status> [<channel> [<user id>]]
              activate [usesolkeepalive | nokeepalive] [instance=<number>]
              deactivate [instance=<number>]";
pub const SOL_SET: &str = "
SOL set parameters and values:
  set-in-progress             set-complete | set-in-progress | commit-write
  enabled                     true | false
  force-encryption            true | false
  force-authentication        true | false
  privilege-level             user | operator | admin | oem
  character-accumulate-level  <in 5 ms increments>
  character-send-threshold    N
  retry-count                 N
  retry-interval              <in 10 ms increments>
  non-volatile-bit-rate       serial | 9.6 | 19.2 | 38.4 | 57.6 | 115.2
  volatile-bit-rate           serial | 9.6 | 19.2 | 38.4 | 57.6 | 115.2
";
pub const DCMI: &str = "
Data Center Management Interface commands
    power <reading | get_limit | set_limit | activate | deactivate>
    asset_tag
    set_asset_tag <string>
    get_mc_id_string
    set_mc_id_string <string>
";
pub const DCMI_POWER: &str = "
power <command>
    reading
    get_limit
    set_limit limit <watts>
    activate
    deactivate
";
pub const SDR: &str = "\
SDR Commands:
  list | elist [all|full|compact|event|mcloc|fru|generic]
  type [list | <sensor type>]
  entity <id>[.<instance>]
  get <name> ...
  info
  dump <file>";
pub const SDR_LIST: &str = "usage: sdr list [all|full|compact|event|mcloc|fru|generic]";
pub const SENSOR: &str = "Sensor Commands: list, get <name> ...";
pub const SEL: &str = "\
SEL Commands: info, list | elist [[first|last] <count>], get <id> ..., delete <id> ..., clear,
              time get, time set <MM/DD/YYYY HH:MM:SS | now>, save <file>";
pub const FRU: &str = "FRU Commands:  print [<id>], read <id> <file>";
