//! Functions of one 16-bit value: rectifiers, logistic function, hyperbolic tangent, inverse square root,
//! interpolated tables.

use super::channels::check_requant;
use super::wide::{constants, elementwise, unit_scale, words, words_mut};
use super::{Io, Operands, Operator};
use crate::error::NodeFault;
use crate::fixed::inverse_root;
use crate::fixed16::{SIGMOID_ENTRIES, TABLE_ENTRIES};
use crate::format::Blob;
use crate::isa::{Isa, RectifyParams, SigmoidParams, Source};
use crate::quant::{Clamp16, Requant, doubling_high_mul};
use serde::{Deserialize, Serialize};

/// A function that is linear on each side of zero, with another scale: relu, leaky relu, absolute value,
/// negation, clamp. TensorFlow Lite semantics, elementwise; rows may be bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Rectify16 {
    /// Magnitude of the factor of values from zero up, and of those below: slope times input scale over
    /// output scale.
    pub scale: [Requant; 2],
    /// Whether each slope is negative: the magnitude is then taken of `-x`.
    pub flip: [bool; 2],
    /// Range of the result.
    pub clamp: Clamp16,
}

/// Logistic function of 16-bit values, TensorFlow Lite semantics, elementwise; rows may be bounded.
///
/// The output has scale 1/32,768. Multiplier and shift are those of `fixed16::SigmoidScale`, the table is
/// `fixed16::sigmoid_table`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Logistic16 {
    /// Factor of the argument.
    pub multiplier: i32,
    /// Right shift of the product, at most 31.
    pub shift: u8,
    /// 256 entries of u16.
    pub table: Blob,
}

/// Hyperbolic tangent of 16-bit values, TensorFlow Lite semantics, elementwise; rows may be bounded.
/// Attributes as in [`Logistic16`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Tanh16 {
    /// Factor of the argument.
    pub multiplier: i32,
    /// Right shift of the product, at most 31.
    pub shift: u8,
    /// 256 entries of u16.
    pub table: Blob,
}

/// Interpolated table: any smooth function of 16-bit values, TensorFlow Lite semantics, elementwise; rows may
/// be bounded. The host fills the table (`fixed16::table`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Lut16 {
    /// 513 entries of i16, for inputs -32,768 to 32,768 in steps of 128.
    pub table: Blob,
}

/// `1 / √x` of 16-bit values, TensorFlow Lite for Microcontrollers semantics, elementwise; rows may be bounded.
///
/// Zero and less give 32,767.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Rsqrt16 {
    /// Factor of a root with [`Rsqrt16::FRACTION`] fraction bits: `2^-20 / (√(input scale) · output scale)`.
    pub scale: Requant,
}

impl Rsqrt16 {
    /// Fraction bits of a root before it is scaled.
    pub const FRACTION: u32 = 20;

    /// The result for one value.
    fn apply(&self, x: i16) -> i16 {
        if x <= 0 {
            return i16::MAX;
        }
        let Requant { multiplier, shift } = inverse_root(i32::from(x));
        // The shift of a root of 16 bits is in [-4, 0], so one is shifted left, and not out.
        let one = 1 << (Self::FRACTION - u32::from(shift.unsigned_abs()));
        Clamp16::FULL.apply(self.scale.apply(doubling_high_mul(one, multiplier)))
    }
}

/// Runs `kernel` on input and output of an elementwise node.
fn run(io: &mut Io<'_, '_>, kernel: impl FnOnce(Source<'_, i16>, &mut [i16])) -> Option<()> {
    let views = io.views()?;
    let [y, _] = views.outputs;
    let source = if views.in_place { Source::InPlace } else { Source::From(words(views.inputs[0])?) };
    kernel(source, words_mut(y)?);
    Some(())
}

impl Operator for Rectify16 {
    const IN_PLACE: bool = true;

    fn check(&self, cx: &Operands<'_>) -> Result<(), NodeFault> {
        elementwise(cx)?;
        for factor in self.scale {
            check_requant(factor)?;
        }
        if self.clamp.min > self.clamp.max { Err(NodeFault::Attribute) } else { Ok(()) }
    }

    fn run<I: Isa>(&self, io: &mut Io<'_, '_>) -> Option<()> {
        let &Self { scale, flip, clamp } = self;
        run(io, |a, out| I::rectify16(&RectifyParams { scale, flip, clamp }, a, out))
    }
}

/// What the logistic function and the hyperbolic tangent check.
fn check_sigmoid(cx: &Operands<'_>, shift: u8, table: Blob) -> Result<(), NodeFault> {
    elementwise(cx)?;
    unit_scale(cx)?;
    sigmoid_table(cx, table)?;
    if shift > 31 { Err(NodeFault::Attribute) } else { Ok(()) }
}

fn sigmoid_table<'a>(cx: &Operands<'a>, table: Blob) -> Result<&'a [u16; SIGMOID_ENTRIES], NodeFault> {
    let fault = NodeFault::Constant { offset: table.0, len: 2 * SIGMOID_ENTRIES as u32 };
    constants(cx, table, SIGMOID_ENTRIES as u64)?.first_chunk().ok_or(fault)
}

impl Operator for Logistic16 {
    const IN_PLACE: bool = true;

    #[cfg(feature = "encode")]
    fn blobs(&mut self) -> alloc::vec::Vec<&mut Blob> {
        alloc::vec![&mut self.table]
    }

    fn check(&self, cx: &Operands<'_>) -> Result<(), NodeFault> {
        check_sigmoid(cx, self.shift, self.table)
    }

    fn run<I: Isa>(&self, io: &mut Io<'_, '_>) -> Option<()> {
        let table = sigmoid_table(&io.operands, self.table).ok()?;
        let p = SigmoidParams { multiplier: self.multiplier, shift: u32::from(self.shift) };
        run(io, |a, out| I::logistic16(&p, table, a, out))
    }
}

impl Operator for Tanh16 {
    const IN_PLACE: bool = true;

    #[cfg(feature = "encode")]
    fn blobs(&mut self) -> alloc::vec::Vec<&mut Blob> {
        alloc::vec![&mut self.table]
    }

    fn check(&self, cx: &Operands<'_>) -> Result<(), NodeFault> {
        check_sigmoid(cx, self.shift, self.table)
    }

    fn run<I: Isa>(&self, io: &mut Io<'_, '_>) -> Option<()> {
        let table = sigmoid_table(&io.operands, self.table).ok()?;
        let p = SigmoidParams { multiplier: self.multiplier, shift: u32::from(self.shift) };
        run(io, |a, out| I::tanh16(&p, table, a, out))
    }
}

/// An interpolated table in the data section.
pub(super) fn table16<'a>(cx: &Operands<'a>, table: Blob) -> Result<&'a [i16; TABLE_ENTRIES], NodeFault> {
    let fault = NodeFault::Constant { offset: table.0, len: 2 * TABLE_ENTRIES as u32 };
    constants(cx, table, TABLE_ENTRIES as u64)?.first_chunk().ok_or(fault)
}

impl Operator for Lut16 {
    const IN_PLACE: bool = true;

    #[cfg(feature = "encode")]
    fn blobs(&mut self) -> alloc::vec::Vec<&mut Blob> {
        alloc::vec![&mut self.table]
    }

    fn check(&self, cx: &Operands<'_>) -> Result<(), NodeFault> {
        elementwise(cx)?;
        table16(cx, self.table).map(|_| ())
    }

    fn run<I: Isa>(&self, io: &mut Io<'_, '_>) -> Option<()> {
        let table = table16(&io.operands, self.table).ok()?;
        run(io, |a, out| I::lookup16(table, a, out))
    }
}

impl Operator for Rsqrt16 {
    const IN_PLACE: bool = true;

    fn check(&self, cx: &Operands<'_>) -> Result<(), NodeFault> {
        elementwise(cx)?;
        check_requant(self.scale)
    }

    fn run<I: Isa>(&self, io: &mut Io<'_, '_>) -> Option<()> {
        run(io, |a, out| match a {
            Source::InPlace => out.iter_mut().for_each(|x| *x = self.apply(*x)),
            Source::From(a) => out.iter_mut().zip(a).for_each(|(out, &x)| *out = self.apply(x)),
        })
    }
}
