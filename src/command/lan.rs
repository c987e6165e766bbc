//! The LAN configuration of a channel (§23.1, §23.2, Table 23-4).

use std::net::{Ipv4Addr, Ipv6Addr};

use super::channel::check;
use super::dialog::Dialog;
use super::parameters::{Parameters, Write};
use super::reply::Fields;
use crate::error::{Error, Result};

const NAME: &str = "Get LAN Configuration Parameters";
const AUTH_TYPE_SUPPORT: u8 = 1;
const AUTH_TYPE_ENABLES: u8 = 2;
const IP_ADDRESS: u8 = 3;
const IP_ADDRESS_SOURCE: u8 = 4;
const MAC_ADDRESS: u8 = 5;
const SUBNET_MASK: u8 = 6;
const IPV4_HEADER: u8 = 7;
const PRIMARY_RMCP_PORT: u8 = 8;
const SECONDARY_RMCP_PORT: u8 = 9;
const ARP_CONTROL: u8 = 10;
const GRATUITOUS_ARP_INTERVAL: u8 = 11;
const DEFAULT_GATEWAY: u8 = 12;
const DEFAULT_GATEWAY_MAC: u8 = 13;
const BACKUP_GATEWAY: u8 = 14;
const BACKUP_GATEWAY_MAC: u8 = 15;
const COMMUNITY_STRING: u8 = 16;
const COMMUNITY_LEN: usize = 18;
const VLAN_ID: u8 = 20;
const VLAN_PRIORITY: u8 = 21;
const CIPHER_SUITE_ENTRIES: u8 = 23;
const CIPHER_SUITE_PRIVILEGES: u8 = 24;
const BAD_PASSWORD: u8 = 26;
const IPV6_SUPPORT: u8 = 50;
const IPV6_ENABLES: u8 = 51;
const IPV6_STATUS: u8 = 55;
const IPV6_STATIC_ADDRESSES: u8 = 56;
const IPV6_DYNAMIC_ADDRESSES: u8 = 59;
/// A BMC that says it has more is not believed.
const IPV6_ADDRESSES_MAX: u8 = 16;
const VLAN_MAX: u16 = 4094;

/// Where an IP address comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AddressSource {
    /// It is set.
    Static,
    /// DHCP.
    Dhcp,
    /// The BIOS or other software.
    Bios,
    /// Something else the BMC does.
    OtherProtocol,
    /// A number without a name, 0 to 15.
    Other(u8),
}

/// A VLAN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Vlan {
    /// Whether packets are tagged with it.
    pub enabled: bool,
    /// Its ID, 1 to 4094.
    pub id: u16,
}

/// What a BMC does about ARP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ArpControl {
    /// It answers.
    pub respond: bool,
    /// It tells its address unasked.
    pub gratuitous: bool,
}

/// How long a user is locked out after bad passwords.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BadPassword {
    /// An event is logged then.
    pub event: bool,
    /// After so many; 0 is never.
    pub threshold: u8,
    /// Those longer ago do not count, in units of 10 s; 0 is no limit.
    pub reset_interval: u16,
    /// How long the user is disabled, in units of 10 s; 0 is until it is enabled by command.
    pub lockout_interval: u16,
}

/// Which protocols a BMC uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ipv6Enables {
    /// IPv4 only.
    Ipv4Only,
    /// IPv6 only.
    Ipv6Only,
    /// Both at once.
    Both,
    /// A number without a name.
    Other(u8),
}

/// An IPv6 address of a BMC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ipv6Address {
    /// Its place in the BMC's list, from 0.
    pub index: u8,
    /// Whether it is used.
    pub enabled: bool,
    /// Where it comes from, as a number: 0 it is set, 1 SLAAC, 2 DHCPv6.
    pub source: u8,
    /// The address.
    pub address: Ipv6Addr,
    /// How many bits of it are the network's, 0 to 128.
    pub prefix_len: u8,
    /// 0 in use, 1 disabled, 2 pending, 3 failed, 4 deprecated, 5 invalid.
    pub status: u8,
}

/// The LAN configuration of a channel, as far as the BMC has it: `None` and empty for the rest.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct LanConfig {
    /// The authentication types of IPMI 1.5 there are. Bits: 0 none, 1 MD2, 2 MD5, 4 password,
    /// 5 OEM.
    pub auth_type_support: Option<u8>,
    /// Those that are enabled, for callback, user, operator, administrator and OEM.
    pub auth_type_enables: Option<[u8; 5]>,
    /// The IPv4 address.
    pub ip_address: Option<Ipv4Addr>,
    /// Where it comes from.
    pub address_source: Option<AddressSource>,
    /// The MAC address.
    pub mac_address: Option<[u8; 6]>,
    /// The subnet mask.
    pub subnet_mask: Option<Ipv4Addr>,
    /// Time to live, flags, and precedence and type of service, as sent.
    pub ipv4_header: Option<[u8; 3]>,
    /// The RMCP port, 623.
    pub primary_rmcp_port: Option<u16>,
    /// The port of secured RMCP, 664.
    pub secondary_rmcp_port: Option<u16>,
    /// What it does about ARP.
    pub arp: Option<ArpControl>,
    /// How often it tells its address unasked, in units of 500 ms.
    pub gratuitous_arp_interval: Option<u8>,
    /// The default gateway.
    pub gateway: Option<Ipv4Addr>,
    /// Its MAC address.
    pub gateway_mac: Option<[u8; 6]>,
    /// The gateway when the default one fails.
    pub backup_gateway: Option<Ipv4Addr>,
    /// Its MAC address.
    pub backup_gateway_mac: Option<[u8; 6]>,
    /// The community string of SNMP traps; what is not UTF-8 in it is replaced.
    pub community: Option<String>,
    /// The VLAN.
    pub vlan: Option<Vlan>,
    /// Its priority, 0 to 7.
    pub vlan_priority: Option<u8>,
    /// The numbers of the cipher suites there are.
    pub cipher_suites: Vec<u8>,
    /// The highest level for each entry of that list, as a number; 0 is disabled.
    pub cipher_suite_privileges: Option<[u8; 16]>,
    /// When a user is locked out.
    pub bad_password: Option<BadPassword>,
    /// What it can do with IPv6, as sent. Bits: 0 IPv6 alone, 1 both at once, 2 alerts.
    pub ipv6_support: Option<u8>,
    /// Which protocols it uses.
    pub ipv6_enables: Option<Ipv6Enables>,
    /// IPv6 addresses that are set.
    pub ipv6_static: Vec<Ipv6Address>,
    /// IPv6 addresses it found by itself.
    pub ipv6_dynamic: Vec<Ipv6Address>,
}

/// A LAN parameter with its new value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LanSetting {
    /// See [`LanConfig::auth_type_enables`].
    AuthTypeEnables([u8; 5]),
    /// The IPv4 address. Most BMCs take it only when its source is `Static`.
    IpAddress(Ipv4Addr),
    /// Where the address comes from.
    AddressSource(AddressSource),
    /// The MAC address, where it can be set.
    MacAddress([u8; 6]),
    /// The subnet mask.
    SubnetMask(Ipv4Addr),
    /// See [`LanConfig::ipv4_header`].
    Ipv4Header([u8; 3]),
    /// The RMCP port.
    PrimaryRmcpPort(u16),
    /// The port of secured RMCP.
    SecondaryRmcpPort(u16),
    /// What it does about ARP.
    Arp(ArpControl),
    /// In units of 500 ms.
    GratuitousArpInterval(u8),
    /// The default gateway.
    Gateway(Ipv4Addr),
    /// Its MAC address.
    GatewayMac([u8; 6]),
    /// The gateway when the default one fails.
    BackupGateway(Ipv4Addr),
    /// Its MAC address.
    BackupGatewayMac([u8; 6]),
    /// The community string, up to 18 bytes.
    Community(String),
    /// The VLAN; its ID is 1 to 4094.
    Vlan(Vlan),
    /// 0 to 7.
    VlanPriority(u8),
    /// The highest level for each entry of the list of cipher suites, 0 to 15.
    CipherSuitePrivileges([u8; 16]),
    /// When a user is locked out.
    BadPassword(BadPassword),
    /// Which protocols it uses.
    Ipv6Enables(Ipv6Enables),
    /// A static IPv6 address at its index. `source` and `status` are the BMC's.
    Ipv6Static(Ipv6Address),
}

impl AddressSource {
    fn from_number(number: u8) -> Self {
        match number {
            1 => Self::Static,
            2 => Self::Dhcp,
            3 => Self::Bios,
            4 => Self::OtherProtocol,
            number => Self::Other(number),
        }
    }

    fn number(self) -> u8 {
        match self {
            Self::Static => 1,
            Self::Dhcp => 2,
            Self::Bios => 3,
            Self::OtherProtocol => 4,
            Self::Other(number) => number & 0x0f,
        }
    }
}

impl Ipv6Enables {
    fn from_number(number: u8) -> Self {
        match number {
            0 => Self::Ipv4Only,
            1 => Self::Ipv6Only,
            2 => Self::Both,
            number => Self::Other(number),
        }
    }

    fn number(self) -> u8 {
        match self {
            Self::Ipv4Only => 0,
            Self::Ipv6Only => 1,
            Self::Both => 2,
            Self::Other(number) => number,
        }
    }
}

impl BadPassword {
    fn read(data: &[u8]) -> Result<Self> {
        let mut fields = Fields::of(NAME, data);
        let [event, threshold] = fields.array()?;
        let (reset_interval, lockout_interval) = (fields.u16()?, fields.u16()?);
        Ok(BadPassword { event: event & 1 != 0, threshold, reset_interval, lockout_interval })
    }

    fn write(self) -> Vec<u8> {
        let [a, b] = self.reset_interval.to_le_bytes();
        let [c, d] = self.lockout_interval.to_le_bytes();
        vec![u8::from(self.event), self.threshold, a, b, c, d]
    }
}

impl Ipv6Address {
    fn read(data: &[u8]) -> Result<Self> {
        let mut fields = Fields::of(NAME, data);
        let [index, source] = fields.array()?;
        let address = Ipv6Addr::from(fields.array::<16>()?);
        let prefix_len = fields.u8()?;
        let status = fields.u8().unwrap_or_default();
        let (enabled, source) = (source & 0x80 != 0, source & 0x0f);
        Ok(Ipv6Address { index, enabled, source, address, prefix_len, status })
    }

    fn write(self) -> Vec<u8> {
        let mut data = vec![self.index, if self.enabled { 0x80 } else { 0 }];
        data.extend(self.address.octets());
        data.extend([self.prefix_len, 0]);
        data
    }
}

impl LanSetting {
    fn write(&self) -> Result<Write> {
        let bit = |set: bool, bit: u8| if set { bit } else { 0 };
        Ok(match self {
            Self::AuthTypeEnables(enables) => Write::new(AUTH_TYPE_ENABLES, *enables),
            Self::IpAddress(address) => Write::new(IP_ADDRESS, address.octets()),
            Self::AddressSource(source) => Write::new(IP_ADDRESS_SOURCE, [source.number()]),
            Self::MacAddress(address) => Write::new(MAC_ADDRESS, *address),
            Self::SubnetMask(mask) => Write::new(SUBNET_MASK, mask.octets()),
            Self::Ipv4Header(header) => Write::new(IPV4_HEADER, *header),
            Self::PrimaryRmcpPort(port) => Write::new(PRIMARY_RMCP_PORT, port.to_le_bytes()),
            Self::SecondaryRmcpPort(port) => Write::new(SECONDARY_RMCP_PORT, port.to_le_bytes()),
            Self::Arp(arp) => {
                Write::new(ARP_CONTROL, [bit(arp.respond, 2) | bit(arp.gratuitous, 1)])
            }
            Self::GratuitousArpInterval(interval) => {
                Write::new(GRATUITOUS_ARP_INTERVAL, [*interval])
            }
            Self::Gateway(address) => Write::new(DEFAULT_GATEWAY, address.octets()),
            Self::GatewayMac(address) => Write::new(DEFAULT_GATEWAY_MAC, *address),
            Self::BackupGateway(address) => Write::new(BACKUP_GATEWAY, address.octets()),
            Self::BackupGatewayMac(address) => Write::new(BACKUP_GATEWAY_MAC, *address),
            Self::Community(text) if text.len() <= COMMUNITY_LEN => {
                let mut data = text.as_bytes().to_vec();
                data.resize(COMMUNITY_LEN, 0);
                Write::new(COMMUNITY_STRING, data)
            }
            Self::Vlan(vlan) if (1..=VLAN_MAX).contains(&vlan.id) || !vlan.enabled => {
                let [low, high] = (vlan.id & 0x0fff).to_le_bytes();
                Write::new(VLAN_ID, [low, high | bit(vlan.enabled, 0x80)])
            }
            Self::VlanPriority(priority @ 0..=7) => Write::new(VLAN_PRIORITY, [*priority]),
            Self::CipherSuitePrivileges(levels) if levels.iter().all(|level| *level <= 0x0f) => {
                let pairs = levels.chunks_exact(2).map(|pair| pair[0] | pair[1] << 4);
                Write::new(CIPHER_SUITE_PRIVILEGES, Vec::from_iter([0].into_iter().chain(pairs)))
            }
            Self::BadPassword(lock) => Write::new(BAD_PASSWORD, lock.write()),
            Self::Ipv6Enables(enables) => Write::new(IPV6_ENABLES, [enables.number()]),
            Self::Ipv6Static(address) if address.prefix_len <= 128 => {
                Write::new(IPV6_STATIC_ADDRESSES, address.write())
            }
            out_of_range => {
                return Err(Error::misuse(format!("out of range: {out_of_range:?}")));
            }
        })
    }
}

/// Reads the parameters of a channel one by one.
struct LanReader<'a> {
    dialog: &'a Dialog,
    channel: u8,
}

impl LanReader<'_> {
    async fn find(&self, parameter: u8) -> Result<Option<Vec<u8>>> {
        Parameters::Lan(self.channel).find(self.dialog, parameter, 0).await
    }

    /// `None` also when there is less of it than there should be, as some BMCs do it.
    async fn array<const N: usize>(&self, parameter: u8) -> Result<Option<[u8; N]>> {
        let data = self.find(parameter).await?;
        Ok(data.and_then(|data| data.first_chunk().copied()))
    }

    async fn u8(&self, parameter: u8) -> Result<Option<u8>> {
        Ok(self.array(parameter).await?.map(|[byte]| byte))
    }

    async fn u16(&self, parameter: u8) -> Result<Option<u16>> {
        Ok(self.array(parameter).await?.map(u16::from_le_bytes))
    }

    async fn ipv4(&self, parameter: u8) -> Result<Option<Ipv4Addr>> {
        Ok(self.array::<4>(parameter).await?.map(Ipv4Addr::from))
    }

    async fn ipv6(&self, parameter: u8, count: u8) -> Result<Vec<Ipv6Address>> {
        let mut addresses = Vec::new();
        for set in 0..count.min(IPV6_ADDRESSES_MAX) {
            let found = Parameters::Lan(self.channel).find(self.dialog, parameter, set).await?;
            let Some(address) = found.and_then(|data| Ipv6Address::read(&data).ok()) else { break };
            addresses.push(address);
        }
        Ok(addresses)
    }

    async fn read_ipv4(&self, config: &mut LanConfig) -> Result<()> {
        config.auth_type_support = self.u8(AUTH_TYPE_SUPPORT).await?;
        config.auth_type_enables = self.array(AUTH_TYPE_ENABLES).await?;
        config.ip_address = self.ipv4(IP_ADDRESS).await?;
        let source = self.u8(IP_ADDRESS_SOURCE).await?;
        config.address_source = source.map(|source| AddressSource::from_number(source & 0x0f));
        config.mac_address = self.array(MAC_ADDRESS).await?;
        config.subnet_mask = self.ipv4(SUBNET_MASK).await?;
        config.ipv4_header = self.array(IPV4_HEADER).await?;
        config.primary_rmcp_port = self.u16(PRIMARY_RMCP_PORT).await?;
        config.secondary_rmcp_port = self.u16(SECONDARY_RMCP_PORT).await?;
        config.arp = self
            .u8(ARP_CONTROL)
            .await?
            .map(|bits| ArpControl { respond: bits & 2 != 0, gratuitous: bits & 1 != 0 });
        config.gratuitous_arp_interval = self.u8(GRATUITOUS_ARP_INTERVAL).await?;
        config.gateway = self.ipv4(DEFAULT_GATEWAY).await?;
        config.gateway_mac = self.array(DEFAULT_GATEWAY_MAC).await?;
        config.backup_gateway = self.ipv4(BACKUP_GATEWAY).await?;
        config.backup_gateway_mac = self.array(BACKUP_GATEWAY_MAC).await?;
        Ok(())
    }

    async fn read_the_rest(&self, config: &mut LanConfig) -> Result<()> {
        config.community = self.find(COMMUNITY_STRING).await?.map(|data| {
            let end = data.iter().position(|byte| *byte == 0).unwrap_or(data.len());
            String::from_utf8_lossy(&data[..end.min(COMMUNITY_LEN)]).into_owned()
        });
        config.vlan = self
            .u16(VLAN_ID)
            .await?
            .map(|bits| Vlan { enabled: bits & 0x8000 != 0, id: bits & 0x0fff });
        config.vlan_priority = self.u8(VLAN_PRIORITY).await?.map(|priority| priority & 7);
        let suites = self.find(CIPHER_SUITE_ENTRIES).await?.unwrap_or_default();
        config.cipher_suites =
            suites.get(1..).unwrap_or_default().iter().copied().take(16).collect();
        let levels = self.array::<9>(CIPHER_SUITE_PRIVILEGES).await?;
        config.cipher_suite_privileges = levels.map(|bytes| {
            std::array::from_fn(|entry| bytes[1 + entry / 2] >> (entry % 2 * 4) & 0x0f)
        });
        let lock = self.find(BAD_PASSWORD).await?;
        config.bad_password = lock.and_then(|data| BadPassword::read(&data).ok());
        Ok(())
    }

    async fn read_ipv6(&self, config: &mut LanConfig) -> Result<()> {
        config.ipv6_support = self.u8(IPV6_SUPPORT).await?;
        if config.ipv6_support.is_none() {
            return Ok(());
        }
        config.ipv6_enables = self.u8(IPV6_ENABLES).await?.map(Ipv6Enables::from_number);
        let [set, found] = self.array(IPV6_STATUS).await?.unwrap_or_default();
        config.ipv6_static = self.ipv6(IPV6_STATIC_ADDRESSES, set).await?;
        config.ipv6_dynamic = self.ipv6(IPV6_DYNAMIC_ADDRESSES, found).await?;
        Ok(())
    }
}

impl Dialog {
    /// Get LAN Configuration Parameters (§23.2) for all that [`LanConfig`] has: some 25 requests.
    /// `channel` is 0 to 15, 14 being the one of this session.
    pub async fn lan_config(&self, channel: u8) -> Result<LanConfig> {
        check(channel)?;
        let (reader, mut config) = (LanReader { dialog: self, channel }, LanConfig::default());
        reader.read_ipv4(&mut config).await?;
        reader.read_the_rest(&mut config).await?;
        reader.read_ipv6(&mut config).await?;
        Ok(config)
    }

    /// Get LAN Configuration Parameters (§23.2): any parameter as bytes. `set` is which of
    /// several, 0 for those that have but one.
    pub async fn lan_parameter(&self, channel: u8, parameter: u8, set: u8) -> Result<Vec<u8>> {
        check(channel)?;
        Ok(Parameters::Lan(channel).read(self, parameter, set).await?.0)
    }

    /// Set LAN Configuration Parameters (§23.1), in this order, between "set in progress" and "set
    /// complete", which is sent also when one fails; then those after it are not written.
    ///
    /// A new address of the channel this session came by may end the session before the answer
    /// is there: then this fails though it is done, and the BMC is to be found elsewhere.
    pub async fn set_lan(&self, channel: u8, settings: Vec<LanSetting>) -> Result<()> {
        check(channel)?;
        let writes: Vec<_> = settings.iter().map(LanSetting::write).collect::<Result<_>>()?;
        Parameters::Lan(channel).write_all(self, &writes, &[]).await
    }
}
