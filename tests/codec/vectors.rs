//! The vector files, and a login as recorded setup payloads tell it.

use std::path::{Path, PathBuf};

use bmclink::crypto::keys::{Exchange, UserKey};
use bmclink::crypto::suite::SessionCipher;
use bmclink::wire::SessionId;
use bmclink::wire::cipher_suite::{Algorithms, CipherSuiteId};
use bmclink::wire::open_session::{AlgorithmNumbers, OpenSessionRequest, OpenSessionResponse};
use bmclink::wire::payload::PayloadType;
use bmclink::wire::rakp::{Rakp1, Rakp2};
use serde_json::Value;

/// Bytes of a hex text.
pub fn unhex(text: &str) -> Vec<u8> {
    assert!(text.is_ascii() && text.len().is_multiple_of(2), "not hex: {text}");
    let digits = |at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex digits");
    (0..text.len()).step_by(2).map(digits).collect()
}

/// Hex text of bytes.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Short ways to the fields of an entry. A missing field fails the test by name.
pub trait Fields {
    fn text(&self, field: &str) -> &str;
    fn bytes(&self, field: &str) -> Vec<u8>;
    fn number(&self, field: &str) -> u32;
    fn entries(&self, field: &str) -> &[Value];
}

impl Fields for Value {
    fn text(&self, field: &str) -> &str {
        self[field].as_str().unwrap_or_else(|| panic!("no text {field} in {self}"))
    }

    fn bytes(&self, field: &str) -> Vec<u8> {
        unhex(self.text(field))
    }

    fn number(&self, field: &str) -> u32 {
        let number = self[field].as_u64().unwrap_or_else(|| panic!("no number {field} in {self}"));
        u32::try_from(number).expect("32 bits")
    }

    fn entries(&self, field: &str) -> &[Value] {
        self[field].as_array().unwrap_or_else(|| panic!("no list {field}"))
    }
}

fn folder() -> PathBuf {
    // The fuzz package is a folder below the root.
    let ancestors = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let found = ancestors.map(|dir| dir.join("tests/vectors")).find(|dir| dir.is_dir());
    found.expect("tests/vectors is there")
}

fn read(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).expect("a readable vector file");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// `spec.json`.
pub fn spec() -> Value {
    read(&folder().join("spec.json"))
}

/// One file of `recorded/`.
pub struct Recorded {
    pub name: String,
    pub fields: Value,
    pub user_name: Vec<u8>,
    pub password: UserKey,
    pub k_g: Option<UserKey>,
    pub datagrams: Vec<Datagram>,
}

/// One recorded datagram.
pub struct Datagram {
    pub from_bmc: bool,
    pub bytes: Vec<u8>,
}

/// Every file of `recorded/`, by name.
pub fn recorded() -> Vec<Recorded> {
    let entries = std::fs::read_dir(folder().join("recorded")).expect("recorded/ is there");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    paths.iter().map(|path| Recorded::new(read(path))).collect()
}

impl Recorded {
    fn new(fields: Value) -> Self {
        let k_g = fields.bytes("kg");
        let datagram = |entry: &Value| Datagram {
            from_bmc: match entry.text("dir") {
                "b2c" => true,
                "c2b" => false,
                other => panic!("direction {other}"),
            },
            bytes: entry.bytes("hex"),
        };
        Recorded {
            name: fields.text("name").to_owned(),
            user_name: fields.text("username").as_bytes().to_vec(),
            password: UserKey::new(&fields.bytes("password")).expect("20 bytes at most"),
            k_g: (!k_g.is_empty()).then(|| UserKey::new(&k_g).expect("20 bytes at most")),
            datagrams: fields.entries("datagrams").iter().map(datagram).collect(),
            fields,
        }
    }
}

/// What the setup payloads of one login said, in the order they came.
#[derive(Default)]
pub struct Login {
    pub algorithms: Option<Algorithms>,
    pub remote_console_session_id: SessionId,
    pub managed_system_session_id: SessionId,
    rakp1: Option<([u8; 16], u8, Vec<u8>)>,
    rakp2: Option<([u8; 16], [u8; 16])>,
}

impl Login {
    /// Takes what a payload says about the login, if it is one that says anything.
    pub fn observe(&mut self, payload_type: PayloadType, payload: &[u8]) {
        match payload_type {
            PayloadType::OpenSessionRequest => {
                let request = OpenSessionRequest::decode(payload).expect("a request");
                self.remote_console_session_id = request.remote_console_session_id;
            }
            PayloadType::OpenSessionResponse => {
                let response = OpenSessionResponse::decode(payload).expect("a response");
                let response = response.expect("no refusal");
                self.managed_system_session_id = response.managed_system_session_id;
                self.algorithms = Some(algorithms(response.algorithms));
            }
            PayloadType::Rakp1 => {
                let rakp1 = Rakp1::decode(payload).expect("RAKP 1");
                let user_name = rakp1.user_name.to_vec();
                self.rakp1 = Some((rakp1.remote_console_random_number, rakp1.role, user_name));
            }
            PayloadType::Rakp2 => {
                let rakp2 = Rakp2::decode(payload).expect("RAKP 2").expect("no refusal");
                self.rakp2 = Some((rakp2.managed_system_random_number, rakp2.managed_system_guid));
            }
            _ => {}
        }
    }

    /// The hash inputs, from RAKP 2 on.
    pub fn exchange(&self) -> Exchange {
        let (remote_console_random_number, role, user_name) = self.rakp1.clone().expect("RAKP 1");
        let (managed_system_random_number, managed_system_guid) = self.rakp2.expect("RAKP 2");
        Exchange {
            authentication: self.algorithms.expect("an Open Session Response").authentication,
            remote_console_session_id: self.remote_console_session_id,
            managed_system_session_id: self.managed_system_session_id,
            remote_console_random_number,
            managed_system_random_number,
            managed_system_guid,
            role,
            user_name,
        }
    }

    /// The session's cipher, from RAKP 2 on.
    pub fn cipher(&self, password: &UserKey, k_g: Option<&UserKey>) -> SessionCipher {
        let sik = self.exchange().sik(password, k_g);
        SessionCipher::new(self.algorithms.expect("known"), &sik.k1(), &sik.k2(), password)
    }
}

/// The algorithms of the implemented suite that has these numbers.
pub fn algorithms(numbers: AlgorithmNumbers) -> Algorithms {
    let suites = CipherSuiteId::IMPLEMENTED.into_iter().filter_map(CipherSuiteId::algorithms);
    let mut matching = suites.filter(|suite| AlgorithmNumbers::from(*suite) == numbers);
    matching.next().expect("an implemented suite")
}
