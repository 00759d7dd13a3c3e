//! The frame format inside TLS, and its reader as a pure state machine.
//!
//! A frame is a header {step u64, kind u16, length u32}, little-endian, and the payload. Every frame counts one step per
//! direction, so a repeated, dropped or reordered frame is seen (TLS already rules it out between honest ends). After every
//! [`SEGMENT`] payload bytes that are not the last, one byte says whether the message goes on ([`GO_ON`]) or is given up
//! ([`GIVE_UP`]): a party that stops in the middle of a long message can still say so.

use super::inbox::{End, Inbox};
use crate::{HEADER_BYTES, MAX_FRAME};

/// "I am alive and computing", and what: [`STATUS_BYTES`] or nothing, sent by a background thread, outside the counters.
pub(super) const KEEP_ALIVE: u16 = 0x00f1;
/// Bytes of a keep-alive: what is in work, filled up with zeros, so that its length says nothing.
pub(super) const STATUS_BYTES: usize = 32;
/// "I have accepted your key": first frame of each direction, outside the counters.
pub(super) const READY: u16 = 0x00f2;
/// "I stopped with this exit code": one byte, last frame, outside the counters.
pub(super) const ABORT: u16 = 0x00f3;

/// Payload bytes between two marks.
pub(super) const SEGMENT: usize = 1 << 16;
/// Mark: the message goes on.
pub(super) const GO_ON: u8 = 0;
/// Mark: the message is given up, a frame header follows.
pub(super) const GIVE_UP: u8 = 1;

/// Whether the link keeps this kind for itself.
pub(super) fn is_reserved(code: u16) -> bool {
    matches!(code, KEEP_ALIVE | READY | ABORT)
}

/// A header's bytes.
pub(super) fn header(step: u64, code: u16, length: u32) -> [u8; HEADER_BYTES] {
    let mut bytes = [0; HEADER_BYTES];
    bytes[..8].copy_from_slice(&step.to_le_bytes());
    bytes[8..10].copy_from_slice(&code.to_le_bytes());
    bytes[10..].copy_from_slice(&length.to_le_bytes());
    bytes
}

enum State {
    Header { bytes: [u8; HEADER_BYTES], have: usize },
    Payload { left: usize, to_mark: usize },
    Mark { left: usize },
    AbortCode,
    Status { bytes: [u8; STATUS_BYTES], have: usize },
}

const AT_HEADER: State = State::Header { bytes: [0; HEADER_BYTES], have: 0 };

/// Cuts one direction's plaintext into messages.
pub(super) struct Parser {
    step: u64,
    state: State,
}

impl Parser {
    pub(super) fn new() -> Self {
        Self { step: 0, state: AT_HEADER }
    }

    /// Takes plaintext in any portions; messages go to the inbox. An error or an abort frame is final.
    pub(super) fn feed(&mut self, mut input: &[u8], inbox: &Inbox) -> Result<(), End> {
        while let Some(&first) = input.first() {
            match &mut self.state {
                State::Header { bytes, have } => {
                    let taken = input.len().min(HEADER_BYTES - *have);
                    bytes[*have..*have + taken].copy_from_slice(&input[..taken]);
                    *have += taken;
                    input = &input[taken..];
                    if *have == HEADER_BYTES {
                        let bytes = *bytes;
                        self.state = self.open(&bytes, inbox)?;
                    }
                }
                State::Payload { left, to_mark } => {
                    let taken = input.len().min(*to_mark).min(*left);
                    inbox.grow(&input[..taken]);
                    input = &input[taken..];
                    *left -= taken;
                    *to_mark -= taken;
                    if *left == 0 {
                        self.state = AT_HEADER;
                    } else if *to_mark == 0 {
                        self.state = State::Mark { left: *left };
                    }
                }
                State::Mark { left } => {
                    let left = *left;
                    input = &input[1..];
                    self.state = match first {
                        GO_ON => State::Payload { left, to_mark: SEGMENT },
                        GIVE_UP => {
                            inbox.give_up();
                            AT_HEADER
                        }
                        other => return Err(End::BadRecord(format!("mark {other:#04x} inside a message"))),
                    };
                }
                State::AbortCode => return Err(End::Stopped(first)),
                State::Status { bytes, have } => {
                    let taken = input.len().min(STATUS_BYTES - *have);
                    bytes[*have..*have + taken].copy_from_slice(&input[..taken]);
                    *have += taken;
                    input = &input[taken..];
                    if *have == STATUS_BYTES {
                        inbox.set_status(*bytes);
                        self.state = AT_HEADER;
                    }
                }
            }
        }
        Ok(())
    }

    fn open(&mut self, bytes: &[u8; HEADER_BYTES], inbox: &Inbox) -> Result<State, End> {
        let [s0, s1, s2, s3, s4, s5, s6, s7, k0, k1, l0, l1, l2, l3] = *bytes;
        let step = u64::from_le_bytes([s0, s1, s2, s3, s4, s5, s6, s7]);
        let code = u16::from_le_bytes([k0, k1]);
        let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        if step != self.step {
            return Err(End::Step { expected: self.step, got: step });
        }
        self.step += 1;
        match (code, length) {
            (KEEP_ALIVE, 0) => Ok(AT_HEADER),
            (KEEP_ALIVE, STATUS_BYTES) => Ok(State::Status { bytes: [0; STATUS_BYTES], have: 0 }),
            (ABORT, 1) => Ok(State::AbortCode),
            (KEEP_ALIVE | ABORT, _) => Err(End::BadRecord(format!("control frame {code:#06x} of {length} bytes"))),
            _ if length > MAX_FRAME => Err(End::TooLong { claimed: length }),
            _ => {
                inbox.announce(code, length);
                Ok(if length == 0 { AT_HEADER } else { State::Payload { left: length, to_mark: SEGMENT } })
            }
        }
    }
}
