//! From the registers of a thread to its calls: each step computes the registers of the caller, as
//! the compiler's tables describe them, from a copy of the stack.

use gimli::{CfaRule, Register, RegisterRule, UnwindTableRow};
use ipc_protocol::recorder::{AARCH64, Death, X86_64};

use super::Files;

/// Number of calls that are looked at: the innermost ones say what happened, and each takes time.
const MAX_CALLS: usize = 16;
/// Bits of an address on AArch64; those above may sign it.
const AARCH64_ADDRESS: u64 = (1 << 48) - 1;

/// A place in code on the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) address: u64,
    /// Whether the instruction there was interrupted, and is not the one behind a call.
    pub(super) is_exact: bool,
}

impl Call {
    /// An address inside the instruction that was executed last.
    pub(super) fn looked_up(self) -> u64 {
        self.address.saturating_sub(u64::from(!self.is_exact))
    }
}

/// The registers that have a part in calls, by their DWARF numbers.
#[derive(Debug, Clone, Copy)]
struct Machine {
    frame_pointer: usize,
    stack_pointer: usize,
    return_address: usize,
    /// Whether a call leaves the return address in a register, and not on the stack.
    has_link: bool,
}

const MACHINES: [(u32, Machine); 2] = [
    (X86_64, Machine { frame_pointer: 6, stack_pointer: 7, return_address: 16, has_link: false }),
    (AARCH64, Machine { frame_pointer: 29, stack_pointer: 31, return_address: 30, has_link: true }),
];

struct Thread<'a> {
    machine: Machine,
    registers: [u64; 32],
    call: Call,
    stack: &'a [u8],
    stack_start: u64,
}

/// The calls of the thread that died, innermost first.
pub(super) fn calls(death: &Death, stack: &[u8], files: &mut Files) -> Vec<Call> {
    let Some((_, machine)) = MACHINES.iter().find(|(number, _)| *number == death.machine) else {
        return Vec::new();
    };
    let mut thread = Thread {
        machine: *machine,
        registers: death.registers,
        call: Call { address: death.instruction, is_exact: true },
        stack,
        stack_start: death.stack_start,
    };
    let mut calls = vec![thread.call];
    while calls.len() < MAX_CALLS && thread.step(files, calls.len() == 1).is_some() {
        calls.push(thread.call);
    }
    calls
}

impl Thread<'_> {
    /// Goes to the caller; `None` at the end of the stack, or where it cannot be read.
    fn step(&mut self, files: &mut Files, is_first: bool) -> Option<()> {
        let stack_pointer = self.registers[self.machine.stack_pointer];
        let at = self.call.looked_up();
        if is_first && files.mapping(at).is_none() {
            return self.leave_nowhere();
        }
        let described = files.library(at).and_then(|(library, address)| {
            library.with_row(address, |row, is_signal| self.caller(row, is_signal))
        });
        let (registers, call) = described.or_else(|| self.caller_by_frame_pointer())?;
        self.registers = registers;
        self.call = call;
        // A stack that does not shrink would never end. A first function may have no frame.
        let left = registers[self.machine.stack_pointer].checked_sub(stack_pointer)?;
        (call.address != 0 && (left > 0 || is_first)).then_some(())
    }

    /// Undoes a call of an address where there is no code.
    fn leave_nowhere(&mut self) -> Option<()> {
        let Machine { stack_pointer, return_address, has_link, .. } = self.machine;
        let address = if has_link {
            self.registers[return_address]
        } else {
            let pushed = self.word(self.registers[stack_pointer])?;
            self.registers[stack_pointer] += 8;
            pushed
        };
        self.call = Call { address: self.plain(address), is_exact: false };
        (address != 0).then_some(())
    }

    fn caller(&self, row: &UnwindTableRow<usize>, is_signal: bool) -> Option<([u64; 32], Call)> {
        let Machine { stack_pointer, return_address, has_link, .. } = self.machine;
        let CfaRule::RegisterAndOffset { register, offset } = row.cfa() else { return None };
        let base = self.registers.get(usize::from(register.0))?.wrapping_add_signed(*offset);
        let mut registers = self.registers;
        registers[stack_pointer] = base;
        // In a function that calls nothing, the link register still holds the return address.
        let mut back = has_link.then_some(self.registers[return_address]);
        for (Register(number), rule) in row.registers() {
            let number = usize::from(*number);
            let value = match rule {
                RegisterRule::Offset(offset) => self.word(base.wrapping_add_signed(*offset)),
                RegisterRule::ValOffset(offset) => Some(base.wrapping_add_signed(*offset)),
                RegisterRule::Register(other) => self.registers.get(usize::from(other.0)).copied(),
                _ => continue,
            };
            if number == return_address {
                back = value;
            }
            if let (Some(place), Some(value)) = (registers.get_mut(number), value) {
                *place = value;
            }
        }
        Some((registers, Call { address: self.plain(back?), is_exact: is_signal }))
    }

    /// Where nothing describes the code, the registers may still form a chain.
    fn caller_by_frame_pointer(&self) -> Option<([u64; 32], Call)> {
        let Machine { frame_pointer, stack_pointer, .. } = self.machine;
        let frame = self.registers[frame_pointer];
        if frame < self.registers[stack_pointer] {
            return None;
        }
        let mut registers = self.registers;
        registers[frame_pointer] = self.word(frame)?;
        let address = self.word(frame.checked_add(8)?)?;
        registers[stack_pointer] = frame.checked_add(16)?;
        Some((registers, Call { address: self.plain(address), is_exact: false }))
    }

    fn plain(&self, address: u64) -> u64 {
        if self.machine.has_link { address & AARCH64_ADDRESS } else { address }
    }

    fn word(&self, address: u64) -> Option<u64> {
        let at = usize::try_from(address.checked_sub(self.stack_start)?).ok()?;
        let bytes = self.stack.get(at..at.checked_add(8)?)?;
        bytes.try_into().ok().map(u64::from_le_bytes)
    }
}
