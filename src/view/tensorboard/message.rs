//! TensorBoard's `Event` message in protobuf's wire format: the few fields that scalars need.
//!
//! ```text
//! Event       1 wall_time double   2 step int64   3 file_version string   5 summary Summary   7 session_log SessionLog
//! Summary     1 value repeated Value           Value   1 tag string   2 simple_value float
//! SessionLog  1 status enum: 1 = START
//! ```
//!
//! Source: `event.proto` and `summary.proto` of TensorFlow; protobuf's encoding guide.

/// What a message says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Body<'a> {
    /// The first message of a file.
    FileVersion,
    /// A process begins at this step: what an earlier one wrote from here on no longer counts.
    SessionStart,
    Scalars(&'a [(&'a str, f32)]),
}

/// The version that all TensorBoards know.
const FILE_VERSION: &str = "brain.Event:2";
/// `SessionLog.START`.
const START: u64 = 1;

/// The bytes of an `Event`; `wall_time` is in seconds since 1970.
pub fn event(wall_time: f64, step: u64, body: Body) -> Vec<u8> {
    let mut message = Vec::new();
    fixed64(&mut message, 1, wall_time);
    // A number that is zero is not written.
    if step > 0 {
        number(&mut message, 2, step);
    }
    match body {
        Body::FileVersion => bytes(&mut message, 3, FILE_VERSION.as_bytes()),
        Body::SessionStart => {
            let mut log = Vec::new();
            number(&mut log, 1, START);
            bytes(&mut message, 7, &log);
        }
        Body::Scalars(scalars) => {
            let mut summary = Vec::new();
            for (tag, value) in scalars {
                let mut scalar = Vec::new();
                bytes(&mut scalar, 1, tag.as_bytes());
                fixed32(&mut scalar, 2, *value);
                bytes(&mut summary, 1, &scalar);
            }
            bytes(&mut message, 5, &summary);
        }
    }
    message
}

/// Wire types.
const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const LENGTH_DELIMITED: u64 = 2;
const FIXED32: u64 = 5;

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn key(out: &mut Vec<u8>, field: u64, wire_type: u64) {
    varint(out, field << 3 | wire_type);
}

fn number(out: &mut Vec<u8>, field: u64, value: u64) {
    key(out, field, VARINT);
    varint(out, value);
}

fn fixed64(out: &mut Vec<u8>, field: u64, value: f64) {
    key(out, field, FIXED64);
    out.extend(value.to_le_bytes());
}

fn fixed32(out: &mut Vec<u8>, field: u64, value: f32) {
    key(out, field, FIXED32);
    out.extend(value.to_le_bytes());
}

fn bytes(out: &mut Vec<u8>, field: u64, value: &[u8]) {
    key(out, field, LENGTH_DELIMITED);
    varint(out, value.len() as u64);
    out.extend(value);
}

#[cfg(test)]
mod tests {
    use super::super::record::framed;
    use super::*;

    /// Written by the tensorboard package, see `scripts/make_golden_tensorboard.py`.
    const GOLDEN: &[u8] = include_bytes!("../../../tests/tensorboard/golden.tfevents");

    #[test]
    fn the_bytes_are_those_of_the_tensorboard_package() {
        let long =
            "a name of more than one hundred and twenty-seven bytes, so that its length takes two bytes ".repeat(2);
        let messages = [
            event(1_700_000_000.25, 0, Body::FileVersion),
            event(1_700_000_001.5, 1, Body::SessionStart),
            event(1_700_000_002.0, 0, Body::Scalars(&[("loss/train", 0.0)])),
            event(
                1_700_000_003.0,
                300,
                Body::Scalars(&[("loss/valid", 0.6125), ("valid/AUC", 0.5)]),
            ),
            event(
                1_700_000_004.0,
                u64::from(u32::MAX),
                Body::Scalars(&[(&long, f32::NAN), ("negative", -1e-30)]),
            ),
        ];
        let written: Vec<u8> = messages.iter().flat_map(|message| framed(message)).collect();
        assert!(written == GOLDEN, "{written:02x?}\nis not\n{GOLDEN:02x?}");
    }
}
