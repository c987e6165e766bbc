//! What commands give, as rows of named values: one shape for all of them, that can grow.

use std::borrow::Cow;
use std::ffi::{CString, c_char};
use std::sync::OnceLock;

use super::guard::c_string;

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Number(i64),
    Real(f64),
    Text(String),
    Bytes(Vec<u8>),
}

/// A value with its name, and its text once C has asked for it.
#[derive(Debug)]
pub(super) struct Field {
    pub name: CString,
    pub value: Value,
    text: OnceLock<CString>,
}

/// What a row is made of. A value that a BMC does not give is not there.
#[derive(Debug, Default)]
pub(super) struct Row {
    fields: Vec<Field>,
}

/// Rows of values.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub rows: Vec<Row>,
}

impl Field {
    /// The value as a text that lives as long as this does.
    pub fn text(&self) -> *const c_char {
        self.text.get_or_init(|| c_string(&self.value.text())).as_ptr()
    }
}

impl Value {
    fn text(&self) -> Cow<'_, str> {
        match self {
            Value::Number(number) => number.to_string().into(),
            Value::Real(real) => real.to_string().into(),
            Value::Text(text) => text.into(),
            Value::Bytes(bytes) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    }
}

impl Row {
    /// This row with one more value.
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        let field = Field { name: c_string(name), value: value.into(), text: OnceLock::new() };
        self.fields.push(field);
        self
    }

    /// This row with one more value, if it is known.
    pub fn with_known(self, name: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    pub fn fields(&self) -> &[Field] {
        &self.fields
    }
}

impl From<Row> for Table {
    fn from(row: Row) -> Self {
        Table { rows: vec![row] }
    }
}

impl FromIterator<Row> for Table {
    fn from_iter<I: IntoIterator<Item = Row>>(rows: I) -> Self {
        Table { rows: rows.into_iter().collect() }
    }
}

macro_rules! numbers {
    ($($kind:ty)*) => {
        $(impl From<$kind> for Value {
            fn from(number: $kind) -> Self {
                Value::Number(number.into())
            }
        })*
    };
}

numbers!(bool u8 i8 u16 i16 u32 i32 i64);

impl From<f64> for Value {
    fn from(real: f64) -> Self {
        Value::Real(real)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::Text(text)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(text.to_owned())
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Value::Bytes(bytes)
    }
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        Value::Bytes(bytes.to_vec())
    }
}
