//! Cores that issue in order: one instruction after the other waits for its operands, its unit and, where two may go
//! at once, for a partner that it agrees with.

use super::Core;
use super::insn::{Insn, Registers, Unit};

/// Cycles that a taken branch adds on a Cortex-M4; its manual says 1 to 3, by alignment and width of the target.
const M4_REFILL: u32 = 2;
/// Cycles of a division on the Cortex-M cores, whose manuals say 2 to 12 (2 to 11) by the operands.
const M_DIVIDE: u32 = 7;

/// What an instruction does to the pipeline.
struct Timing {
    /// Cycles before the next can issue.
    issue: u32,
    /// Cycles before the next of the same unit can issue.
    busy: u32,
    /// Cycles from issue until its result can be used.
    latency: u32,
    /// The same for an address or a shifted operand.
    early: u32,
}

impl Timing {
    const fn new(issue: u32, latency: u32) -> Self {
        Self { issue, busy: issue, latency, early: latency }
    }

    const fn early(self, early: u32) -> Self {
        Self { early, ..self }
    }

    const fn busy(self, busy: u32) -> Self {
        Self { busy, ..self }
    }
}

/// Units whose use is tracked apart from the issue of instructions.
#[derive(Clone, Copy)]
enum Port {
    Memory = 1,
    Vector = 2,
    Multiply = 3,
    None = 0,
}

/// The state between two instructions.
pub(super) struct Pipeline {
    core: Core,
    /// First cycle in which the next instruction can issue alone.
    end: u32,
    /// Cycle in which the last instruction issued, and whether another may join it.
    last: Option<(Insn, u32, bool)>,
    ready: [u32; 64],
    early: [u32; 64],
    ports: [u32; 4],
}

impl Pipeline {
    /// A pipeline in which nothing is under way.
    pub(super) fn new(core: Core) -> Self {
        // Room for operands that may come a cycle before they are asked for.
        Self { core, end: 8, last: None, ready: [0; 64], early: [0; 64], ports: [0; 4] }
    }

    /// Cycles by which `insn` lengthens the execution.
    pub(super) fn issue(&mut self, insn: &Insn) -> u32 {
        let timing = self.timing(insn);
        let port = port(self.core, insn) as usize;
        let mut earliest = if port == Port::None as usize { 0 } else { self.ports[port] };
        for register in registers(insn.reads) {
            earliest = earliest.max(self.usable(insn, register));
        }
        let at = match self.last {
            Some((older, cycle, true)) if earliest <= cycle && pairs(self.core, &older, insn) => cycle,
            _ => earliest.max(self.end),
        };
        let joined = matches!(self.last, Some((_, cycle, _)) if cycle == at);
        let end = self.end.max(at + timing.issue);
        let added = end - self.end;
        self.end = end;
        self.last = Some((*insn, at, !joined && timing.issue <= 1));
        self.ports[port] = at + timing.busy;
        for register in registers(insn.writes) {
            // The base that a transfer writes back comes from the address adder.
            let base = insn.memory() && insn.address >> register & 1 == 1;
            let (latency, early) = if base { (1, 1) } else { (timing.latency, timing.early) };
            self.ready[register] = at + latency;
            self.early[register] = at + early;
        }
        added
    }

    /// A branch was taken: what follows issues in a new cycle.
    pub(super) fn turn(&mut self) {
        if let Some((_, _, open)) = &mut self.last {
            *open = false;
        }
    }

    /// First cycle in which `insn` can issue as far as `register` is concerned.
    fn usable(&self, insn: &Insn, register: usize) -> u32 {
        let (ready, early) = (self.ready[register], self.early[register]);
        let is = |set: Registers| set >> register & 1 == 1;
        let accumulated = is(insn.adds);
        let stored =
            matches!(insn.unit, Unit::Store | Unit::StoreIndexed | Unit::VectorStore) && !is(insn.address);
        match self.core {
            Core::M4 => 0,
            Core::M7 if stored => ready.saturating_sub(1),
            Core::M7 if accumulated && insn.unit == Unit::Mul => ready.saturating_sub(1),
            Core::M7 if is(insn.address) || matches!(insn.unit, Unit::Shifted | Unit::Mul) => early,
            Core::M33 | Core::M55 if stored => ready.saturating_sub(1),
            Core::M33 | Core::M55 if accumulated && matches!(insn.unit, Unit::Mul | Unit::VectorReduce) => {
                ready.saturating_sub(1)
            }
            Core::A53 if accumulated && matches!(insn.unit, Unit::VectorMul | Unit::VectorFloat) => {
                ready.saturating_sub(3)
            }
            Core::A53 if accumulated && insn.unit == Unit::Mul => ready.saturating_sub(2),
            _ => ready,
        }
    }

    fn timing(&self, insn: &Insn) -> Timing {
        match self.core {
            Core::M4 => Timing::new(m4(insn, self.last.as_ref().map(|(older, ..)| older)), 1),
            Core::M7 => m7(insn),
            Core::M33 | Core::M55 => m33(insn),
            _ => a53(insn),
        }
    }
}

/// Cycles that a taken branch adds when `last` was it.
pub(super) fn refill(core: Core, last: Option<&Insn>) -> u32 {
    let Some(last) = last else { return 0 };
    match (core, last.unit) {
        (Core::M4, _) => M4_REFILL,
        (Core::M33 | Core::M55, Unit::Loop) => 0,
        // A short branch issues with what precedes it.
        (Core::M33 | Core::M55, Unit::Branch) if last.narrow => 2,
        (Core::M33 | Core::M55, Unit::Branch) => 1,
        (Core::M33 | Core::M55, _) => 2,
        // Predicted.
        _ => 0,
    }
}

fn registers(mut set: Registers) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let register = set.trailing_zeros() as usize;
        set &= set.wrapping_sub(1);
        (register < 64).then_some(register)
    })
}

/// Elsewhere an instruction that takes long holds up the issue of all others.
fn port(core: Core, insn: &Insn) -> Port {
    match insn.unit {
        _ if core != Core::M55 => Port::None,
        _ if insn.memory() => Port::Memory,
        Unit::Vector | Unit::VectorShift => Port::Vector,
        Unit::VectorMul | Unit::VectorReduce | Unit::VectorFloat => Port::Multiply,
        _ => Port::None,
    }
}

/// Cycles on a Cortex-M4 after `older`.
fn m4(insn: &Insn, older: Option<&Insn>) -> u32 {
    let amount = u32::from(insn.amount);
    // A load hides the address phase of the transfer after it, unless it loads that address.
    let hidden = older.is_some_and(|older| older.unit == Unit::Load && older.writes & insn.address == 0);
    match insn.unit {
        Unit::Load | Unit::StoreIndexed => 2 - u32::from(hidden),
        Unit::LoadMany | Unit::StoreMany => 1 + amount,
        Unit::Table => 2,
        Unit::Div => M_DIVIDE,
        Unit::FloatMac => 3,
        Unit::FloatDiv => 14,
        Unit::Move => amount,
        _ => 1,
    }
}

fn m7(insn: &Insn) -> Timing {
    let amount = u32::from(insn.amount);
    match insn.unit {
        Unit::Shifted => Timing::new(1, 1).early(2),
        Unit::Mul => Timing::new(1, 2).early(3),
        Unit::Load if insn.part => Timing::new(1, 2).early(3),
        Unit::Load => Timing::new(1, 1).early(2),
        Unit::LoadMany | Unit::StoreMany => {
            let cycles = amount.div_ceil(2);
            Timing::new(cycles, cycles).early(cycles + 1)
        }
        Unit::Table => Timing::new(3, 1),
        Unit::Div => Timing::new(M_DIVIDE, M_DIVIDE),
        Unit::Float => Timing::new(1, 3),
        Unit::FloatMac => Timing::new(1, 5),
        Unit::FloatDiv => Timing::new(16, 16),
        Unit::Move => Timing::new(amount, 2),
        _ => Timing::new(1, 1),
    }
}

fn m33(insn: &Insn) -> Timing {
    let amount = u32::from(insn.amount);
    match insn.unit {
        Unit::Shifted | Unit::Mul | Unit::Load => Timing::new(1, 2),
        Unit::LoadMany => Timing::new(amount, amount + 1),
        Unit::StoreMany => Timing::new(amount, 1),
        Unit::Table => Timing::new(2, 1),
        Unit::Div => Timing::new(M_DIVIDE, M_DIVIDE),
        Unit::FloatMac => Timing::new(1, 3),
        Unit::FloatDiv => Timing::new(14, 14),
        Unit::Move => Timing::new(amount, 2),
        Unit::Loop => Timing::new(0, 0),
        Unit::LoopStart => Timing::new(2, 1),
        // Two beats: the next can issue after the first, to another unit.
        Unit::Vector => Timing::new(1, 1).busy(2),
        Unit::VectorShift | Unit::VectorMul | Unit::VectorFloat => Timing::new(1, 2).busy(2),
        Unit::VectorReduce => Timing::new(1, 3).busy(2),
        Unit::VectorLoad | Unit::VectorStore => Timing::new(1, 1).busy(2),
        Unit::Gather => Timing::new(1, amount).busy(amount),
        _ => Timing::new(1, 1),
    }
}

fn a53(insn: &Insn) -> Timing {
    let amount = u32::from(insn.amount);
    let words = amount * if insn.narrow { 1 } else { 2 };
    match insn.unit {
        Unit::Shifted => Timing::new(1, 2),
        Unit::Mul => Timing::new(1, 3),
        Unit::Div => Timing::new(10, 10),
        Unit::Load => Timing::new(1, 3),
        Unit::LoadMany => Timing::new(amount, amount + 2),
        Unit::StoreMany => Timing::new(amount, 1),
        Unit::VectorLoad => Timing::new(words, words + 3),
        Unit::VectorStore => Timing::new(words, 1),
        Unit::Vector | Unit::VectorShift | Unit::Move => Timing::new(1, 3),
        Unit::VectorMul | Unit::VectorFloat | Unit::VectorPairs | Unit::VectorReduce | Unit::VectorDot => {
            Timing::new(1, 4)
        }
        Unit::Float | Unit::FloatMac => Timing::new(1, 4),
        Unit::FloatDiv => Timing::new(12, 12),
        _ => Timing::new(1, 1),
    }
}

/// Whether `younger` may issue in the cycle of `older`, operands and ports permitting.
fn pairs(core: Core, older: &Insn, younger: &Insn) -> bool {
    let either = |unit: fn(Unit) -> bool| unit(older.unit) || unit(younger.unit);
    let both = |unit: fn(Unit) -> bool| unit(older.unit) && unit(younger.unit);
    let alone = |unit| {
        matches!(
            unit,
            Unit::LoadMany | Unit::StoreMany | Unit::Table | Unit::Div | Unit::System | Unit::FloatDiv
        )
    };
    let store = |unit| matches!(unit, Unit::Store | Unit::StoreIndexed);
    match core {
        Core::M4 | Core::A72 | Core::A76 => false,
        Core::M7 => {
            let mul = |unit| unit == Unit::Mul;
            let float = |unit| matches!(unit, Unit::Float | Unit::FloatMac | Unit::Move);
            !(either(alone)
                || both(mul)
                || (either(mul) && either(store))
                || both(store)
                || both(|unit| unit == Unit::Shifted)
                || both(|unit| unit == Unit::Load)
                || both(float)
                || both(|unit| matches!(unit, Unit::Branch | Unit::Indirect)))
        }
        // Two short instructions, of which one does nothing but branch or predicate.
        Core::M33 | Core::M55 => {
            younger.narrow
                && older.narrow
                && matches!(younger.unit, Unit::Branch | Unit::If)
                && !matches!(older.unit, Unit::Branch | Unit::If | Unit::Indirect | Unit::Table)
        }
        Core::A53 => {
            let vector = |unit| {
                matches!(
                    unit,
                    Unit::Vector
                        | Unit::VectorShift
                        | Unit::VectorMul
                        | Unit::VectorReduce
                        | Unit::VectorDot
                        | Unit::VectorPairs
                        | Unit::VectorFloat
                        | Unit::VectorLoad
                        | Unit::VectorStore
                        | Unit::Float
                        | Unit::FloatMac
                )
            };
            !(either(alone)
                || both(vector)
                || (older.memory() && younger.memory())
                || both(|unit| matches!(unit, Unit::Mul))
                || both(|unit| matches!(unit, Unit::Branch | Unit::Indirect)))
        }
    }
}
