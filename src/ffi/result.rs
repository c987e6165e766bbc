//! What commands give: rows of named values.

use std::ffi::{c_char, c_void};

use super::guard::{Count, MaybeText, Number, guard};
use super::handle::{self, Object, Out};
use super::table::{Field, Table, Value};
use crate::error::{Error, Result};

/// What a command gave: rows of named values. Which ones, is said of each command at
/// bmclink_command_new; a value the BMC does not give is not there.
pub struct bmclink_result {
    pub(super) table: Table,
}

impl Object for bmclink_result {
    const NOUN: &'static str = "result";
}

/// What kind of value it is.
#[repr(C)]
#[allow(dead_code)] // Named for C; functions give int32_t.
pub enum bmclink_value {
    /// A whole number, or 0 and 1 for no and yes: bmclink_result_number.
    Number = 1,
    /// A number with a fraction: bmclink_result_real.
    Real = 2,
    /// A text in UTF-8: bmclink_result_text.
    Text = 3,
    /// Bytes: bmclink_result_bytes.
    Bytes = 4,
}

/// How many rows there are, 0 or more. Does not block.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_result_rows(result: *mut bmclink_result) -> i64 {
    guard(|| Ok(Count(handle::object(result)?.table.rows.len() as u64)))
}

/// How many values a row has, 0 or more. Fails with BMCLINK_ERR_MISUSE when there is no such row.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_result_fields(result: *mut bmclink_result, row: u64) -> i64 {
    guard(|| Ok(Count(fields(&handle::object(result)?.table, row)?.len() as u64)))
}

/// The name of a value of a row, by its place from 0: a text that lives as long as the result;
/// NULL when there is none.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_result_name(
    result: *mut bmclink_result,
    row: u64,
    place: u64,
) -> *const c_char {
    guard(|| {
        let result = handle::object(result)?;
        let field =
            usize::try_from(place).ok().and_then(|at| fields(&result.table, row).ok()?.get(at));
        Ok(MaybeText(field.map_or(std::ptr::null(), |field| field.name.as_ptr())))
    })
}

/// The kind of a value, one of BMCLINK_VALUE_*; 0 when the row has no value of that name.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bmclink_result_kind(
    result: *mut bmclink_result,
    row: u64,
    name: *const c_char,
) -> i32 {
    guard(|| {
        let result = handle::object(result)?;
        // SAFETY: the caller gives NULL or a text.
        let name = unsafe { handle::text(name, "name") }?;
        let kind = match find(&result.table, row, name)?.map(|field| &field.value) {
            None => 0,
            Some(Value::Number(_)) => bmclink_value::Number as i32,
            Some(Value::Real(_)) => bmclink_value::Real as i32,
            Some(Value::Text(_)) => bmclink_value::Text as i32,
            Some(Value::Bytes(_)) => bmclink_value::Bytes as i32,
        };
        Ok(Number(kind))
    })
}

/// Gives a whole number. Fails with BMCLINK_ERR_MISUSE when the row has none of that name, and
/// writes nothing then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bmclink_result_number(
    result: *mut bmclink_result,
    row: u64,
    name: *const c_char,
    value: *mut i64,
) -> i32 {
    guard(|| {
        // SAFETY: the caller gives NULL or a place for a number.
        let out = unsafe { Out::new(value, "value") }?;
        let result = handle::object(result)?;
        // SAFETY: the caller gives NULL or a text.
        let name = unsafe { handle::text(name, "name") }?;
        match find(&result.table, row, name)?.map(|field| &field.value) {
            Some(Value::Number(number)) => out.set(*number),
            other => return Err(missing(other, "a whole number", name)),
        }
        Ok(())
    })
}

/// Gives a number with a fraction, or a whole one as such. Fails as bmclink_result_number does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bmclink_result_real(
    result: *mut bmclink_result,
    row: u64,
    name: *const c_char,
    value: *mut f64,
) -> i32 {
    guard(|| {
        // SAFETY: the caller gives NULL or a place for a number.
        let out = unsafe { Out::new(value, "value") }?;
        let result = handle::object(result)?;
        // SAFETY: the caller gives NULL or a text.
        let name = unsafe { handle::text(name, "name") }?;
        match find(&result.table, row, name)?.map(|field| &field.value) {
            Some(Value::Real(real)) => out.set(*real),
            // Exact up to 2^53, which no command's numbers reach.
            Some(Value::Number(number)) => out.set(*number as f64),
            other => return Err(missing(other, "a number", name)),
        }
        Ok(())
    })
}

/// The value as a text, whatever its kind: bytes in hexadecimal. It lives as long as the result;
/// NULL when the row has none of that name.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bmclink_result_text(
    result: *mut bmclink_result,
    row: u64,
    name: *const c_char,
) -> *const c_char {
    guard(|| {
        let result = handle::object(result)?;
        // SAFETY: the caller gives NULL or a text.
        let name = unsafe { handle::text(name, "name") }?;
        let field = find(&result.table, row, name)?;
        Ok(MaybeText(field.map_or(std::ptr::null(), Field::text)))
    })
}

/// Copies bytes to `buffer`, at most `capacity` of them, and gives how many there are, also when
/// that is more. Of a text, its bytes without a NUL. `buffer` may be NULL when `capacity` is 0.
/// Fails as bmclink_result_number does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bmclink_result_bytes(
    result: *mut bmclink_result,
    row: u64,
    name: *const c_char,
    buffer: *mut c_void,
    capacity: usize,
) -> i64 {
    guard(|| {
        // SAFETY: the caller gives NULL or as much room as it says.
        let room = unsafe { handle::room(buffer, capacity, "buffer") }?;
        let result = handle::object(result)?;
        // SAFETY: the caller gives NULL or a text.
        let name = unsafe { handle::text(name, "name") }?;
        let bytes = match find(&result.table, row, name)?.map(|field| &field.value) {
            Some(Value::Bytes(bytes)) => bytes.as_slice(),
            Some(Value::Text(text)) => text.as_bytes(),
            other => return Err(missing(other, "bytes", name)),
        };
        for (place, byte) in room.iter_mut().zip(bytes) {
            *place = *byte;
        }
        Ok(Count(bytes.len() as u64))
    })
}

/// Frees a result, and all texts in it. NULL is fine.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_result_free(result: *mut bmclink_result) -> i32 {
    guard(|| handle::free(result))
}

fn fields(table: &Table, row: u64) -> Result<&[Field]> {
    let found = usize::try_from(row).ok().and_then(|row| table.rows.get(row));
    let found = found
        .ok_or_else(|| Error::misuse(format!("row {row} of {} (from 0)", table.rows.len())))?;
    Ok(found.fields())
}

fn find<'a>(table: &'a Table, row: u64, name: &str) -> Result<Option<&'a Field>> {
    Ok(fields(table, row)?.iter().find(|field| field.name.as_bytes() == name.as_bytes()))
}

fn missing(found: Option<&Value>, what: &str, name: &str) -> Error {
    match found {
        None => Error::misuse(format!("the row has no {name:?}")),
        Some(_) => Error::misuse(format!("{name:?} is not {what}")),
    }
}
