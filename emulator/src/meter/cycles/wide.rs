//! Cores that issue out of order: a block takes as long as its busiest part.

use super::Core;
use super::insn::{Insn, Unit};

/// How much of each part of the core instructions take, in cycles.
#[derive(Default)]
struct Demand {
    /// Simple arithmetic.
    integer: f64,
    /// Multiplication, division, shifted operands.
    multi: f64,
    load: f64,
    store: f64,
    branch: f64,
    /// Either vector pipe, the first, the second.
    vector: f64,
    first: f64,
    second: f64,
}

/// Cycles of `block`.
pub(super) fn cycles(core: Core, block: &[Insn]) -> f64 {
    let mut sum = Demand::default();
    for insn in block {
        demand(core, insn, &mut sum);
    }
    let count = block.len() as f64;
    let vectors = (sum.first + sum.second + sum.vector) / 2.0;
    let memory = if core == Core::A72 { sum.load.max(sum.store) } else { (sum.load / 2.0).max(sum.store) };
    let integers = if core == Core::A72 { sum.integer / 2.0 } else { (sum.integer + sum.multi) / 3.0 };
    let width = if core == Core::A72 { 3.0 } else { 4.0 };
    [count / width, integers, sum.multi, memory, sum.branch, vectors, sum.first, sum.second]
        .into_iter()
        .fold(0.0, f64::max)
}

fn demand(core: Core, insn: &Insn, sum: &mut Demand) {
    let amount = f64::from(insn.amount);
    match insn.unit {
        Unit::Shifted | Unit::Mul => sum.multi += 1.0,
        Unit::Div => sum.multi += 12.0,
        Unit::Load => sum.load += 1.0,
        Unit::LoadMany => sum.load += amount / 2.0,
        Unit::Store | Unit::StoreIndexed => sum.store += 1.0,
        Unit::StoreMany => sum.store += amount / 2.0,
        Unit::VectorLoad => sum.load += amount,
        Unit::VectorStore => sum.store += amount * if core == Core::A72 && !insn.narrow { 2.0 } else { 1.0 },
        Unit::Branch | Unit::Indirect => sum.branch += 1.0,
        Unit::Move if core == Core::A72 => sum.load += 1.0,
        Unit::Move => sum.multi += 1.0,
        Unit::VectorMul => sum.first += amount,
        Unit::VectorDot if core == Core::A76 => sum.vector += 1.0,
        Unit::VectorDot => sum.first += 1.0,
        Unit::VectorShift | Unit::VectorPairs | Unit::VectorReduce => sum.second += 1.0,
        Unit::Vector | Unit::VectorFloat | Unit::Float | Unit::FloatMac => sum.vector += 1.0,
        Unit::FloatDiv => sum.first += 10.0,
        _ => sum.integer += 1.0,
    }
}
