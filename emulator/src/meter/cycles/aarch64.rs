//! AArch64: Arm Architecture Reference Manual for A-profile (DDI 0487), chapter C4, "A64 instruction set encoding".

use super::insn::{Insn, Registers, Unit, core, vector};
use super::thumb::bits;

/// Decodes an instruction.
pub(crate) fn decode(code: u32) -> Insn {
    match bits(code, 25, 4) {
        0b1000 | 0b1001 => immediate(code),
        0b1010 | 0b1011 => branch(code),
        0b0100 | 0b0110 | 0b1100 | 0b1110 => memory(code),
        0b0101 | 0b1101 => register(code),
        0b0111 | 0b1111 => simd(code),
        _ => Insn::new(Unit::System),
    }
}

/// A core register; 31 is zero or the stack pointer, on which nothing waits.
fn x(code: u32, low: u32) -> Registers {
    match bits(code, low, 5) {
        31 => 0,
        number => core(number),
    }
}

fn v(code: u32, low: u32) -> Registers {
    vector(bits(code, low, 5))
}

fn immediate(code: u32) -> Insn {
    match bits(code, 23, 3) {
        // PC-relative addresses, wide moves; MOVK keeps a part.
        0 | 1 => Insn::new(Unit::Alu).writes(x(code, 0)),
        5 if bits(code, 29, 2) == 3 => Insn::new(Unit::Alu).reads(x(code, 0)).writes(x(code, 0)),
        5 => Insn::new(Unit::Alu).writes(x(code, 0)),
        6 => Insn::new(Unit::Shifted).reads(x(code, 5)).writes(x(code, 0)),
        7 => Insn::new(Unit::Shifted).reads(x(code, 5) | x(code, 16)).writes(x(code, 0)),
        _ => Insn::new(Unit::Alu).reads(x(code, 5)).writes(x(code, 0)),
    }
}

fn branch(code: u32) -> Insn {
    match code >> 25 {
        // Compare and branch, test and branch.
        0b0011010 | 0b1011010 | 0b0011011 | 0b1011011 => Insn::new(Unit::Branch).reads(x(code, 0)),
        0b1101011 => Insn::new(Unit::Indirect).reads(x(code, 5)),
        0b1101010 if code >> 12 == 0xd5032 => Insn::new(Unit::Nop),
        0b1101010 => Insn::new(Unit::System),
        _ => Insn::new(Unit::Branch),
    }
}

fn memory(code: u32) -> Insn {
    let is_vector = bits(code, 26, 1) == 1;
    let load = bits(code, 22, 1) == 1;
    match (bits(code, 28, 2), bits(code, 24, 2)) {
        // Structures: LD1 to LD4, ST1 to ST4.
        (0, 0 | 1) if is_vector => structure(code),
        // Exclusive, acquire, release.
        (0, _) if load => Insn::new(Unit::Load).at(x(code, 5)).writes(x(code, 0)),
        (0, _) => Insn::new(Unit::Store).at(x(code, 5)).reads(x(code, 0)),
        // Literals.
        (1, 0) if bits(code, 27, 1) == 1 && is_vector => Insn::new(Unit::VectorLoad).writes(v(code, 0)),
        (1, 0) if bits(code, 27, 1) == 1 => Insn::new(Unit::Load).writes(x(code, 0)),
        (2, kind) => {
            let indexed = kind == 1 || bits(code, 23, 1) == 1;
            let base = if indexed && bits(code, 23, 2) != 2 { x(code, 5) } else { 0 };
            let values = if is_vector { v(code, 0) | v(code, 10) } else { x(code, 0) | x(code, 10) };
            let narrow = is_vector && bits(code, 30, 2) < 2;
            transfer(load, is_vector, 2, x(code, 5), base, values).narrow(narrow)
        }
        _ => {
            // Unscaled, indexed, with a register offset, with an unsigned offset.
            let size = bits(code, 30, 2);
            let wide = is_vector && size == 0 && bits(code, 23, 1) == 1;
            let load = if is_vector { load } else { bits(code, 22, 2) != 0 };
            let (offset, written) = match (bits(code, 24, 1), bits(code, 21, 1), bits(code, 10, 2)) {
                (0, 1, 2) => (x(code, 16), 0),
                (0, 0, 1 | 3) => (0, x(code, 5)),
                _ => (0, 0),
            };
            let value = if is_vector { v(code, 0) } else { x(code, 0) };
            transfer(load, is_vector, 1, x(code, 5) | offset, written, value)
                .narrow(is_vector && !wide)
                .part(!is_vector && size < 2)
        }
    }
}

fn transfer(
    load: bool,
    is_vector: bool,
    amount: u32,
    address: Registers,
    base: Registers,
    values: Registers,
) -> Insn {
    let unit = match (load, is_vector, amount) {
        (true, true, _) => Unit::VectorLoad,
        (false, true, _) => Unit::VectorStore,
        (true, false, 1) => Unit::Load,
        (false, false, 1) => Unit::Store,
        (true, false, _) => Unit::LoadMany,
        (false, false, _) => Unit::StoreMany,
    };
    let insn = Insn::new(unit).at(address).writes(base).amount(amount);
    if load { insn.writes(values) } else { insn.reads(values) }
}

fn structure(code: u32) -> Insn {
    let count = if bits(code, 24, 1) == 1 {
        // One element or one for all lanes of 1 to 4 registers.
        1 + (bits(code, 13, 1) << 1 | bits(code, 21, 1))
    } else {
        match bits(code, 12, 4) {
            0b0000 | 0b0010 => 4,
            0b0100 | 0b0110 => 3,
            0b1000 | 0b1010 => 2,
            _ => 1,
        }
    };
    let values = (0..count).map(|i| vector(bits(code, 0, 5) + i)).fold(0, |all, one| all | one);
    let base = if bits(code, 23, 1) == 1 { x(code, 5) } else { 0 };
    transfer(bits(code, 22, 1) == 1, true, count, x(code, 5), base, values).narrow(bits(code, 30, 1) == 0)
}

fn register(code: u32) -> Insn {
    let factors = x(code, 5) | x(code, 16);
    match (bits(code, 28, 1), bits(code, 21, 4)) {
        (1, 8..) => Insn::new(Unit::Mul).reads(factors).adds(x(code, 10)).writes(x(code, 0)),
        (1, 6) if bits(code, 30, 1) == 1 => Insn::new(Unit::Alu).reads(x(code, 5)).writes(x(code, 0)),
        (1, 6) if bits(code, 11, 5) == 1 => Insn::new(Unit::Div).reads(factors).writes(x(code, 0)),
        (1, _) => Insn::new(Unit::Alu).reads(factors).writes(x(code, 0)),
        (_, kind) => {
            let shift = if kind >= 8 && kind & 1 == 1 { true } else { bits(code, 10, 6) != 0 };
            let unit = if shift { Unit::Shifted } else { Unit::Alu };
            Insn::new(unit).reads(factors).writes(x(code, 0))
        }
    }
}

fn simd(code: u32) -> Insn {
    let (d, n, m) = (v(code, 0), v(code, 5), v(code, 16));
    let scalar = bits(code, 28, 1) == 1;
    let narrow = bits(code, 30, 1) == 0;
    let plain = |unit| Insn::new(unit).reads(n | m).writes(d).narrow(narrow);
    if bits(code, 31, 1) == 1 || (scalar && bits(code, 30, 1) == 0) {
        return floating(code);
    }
    match (bits(code, 24, 1), bits(code, 21, 1), bits(code, 10, 2)) {
        // Vector by element.
        (1, _, kind) if kind & 1 == 0 => match (bits(code, 29, 1), bits(code, 12, 4)) {
            (_, 0b1110 | 0b1111) => plain(Unit::VectorDot).adds(d),
            (_, 0b1010 | 0b1011) => plain(Unit::VectorMul).narrow(false),
            (_, 0b0010 | 0b0110 | 0b0011 | 0b0111) => plain(Unit::VectorMul).adds(d).narrow(false),
            (_, 0b1000 | 0b1100 | 0b1101) => plain(Unit::VectorMul).amount(2 - u32::from(narrow)),
            (1, 0b0000 | 0b0100) => plain(Unit::VectorMul).adds(d).amount(2 - u32::from(narrow)),
            _ => plain(Unit::VectorFloat).adds(d),
        },
        // Shifts by a constant; without one, constants.
        (1, ..) if bits(code, 19, 4) == 0 && !scalar => Insn::new(Unit::Vector).writes(d).narrow(narrow),
        (1, ..) => Insn::new(Unit::VectorShift).reads(n).writes(d).narrow(narrow),
        // Dot and matrix products; other three-register extensions.
        (0, 0, 1 | 3) if bits(code, 15, 1) == 1 => match bits(code, 11, 4) {
            0b0010..=0b0101 => plain(Unit::VectorDot).adds(d),
            0b0000 | 0b0001 => plain(Unit::VectorMul).adds(d),
            _ => plain(Unit::VectorFloat).adds(d),
        },
        // Copies between lanes and core registers.
        (0, 0, 1 | 3) => match bits(code, 11, 4) {
            _ if bits(code, 29, 1) == 1 => plain(Unit::Vector).reads(d),
            0b0001 | 0b0011 if bits(code, 29, 1) == 0 && !scalar => {
                Insn::new(Unit::Move).reads(x(code, 5)).adds(d).writes(d)
            }
            0b0101 | 0b0111 => Insn::new(Unit::Move).reads(n).writes(x(code, 0)),
            _ => Insn::new(Unit::Vector).reads(n).writes(d).narrow(narrow),
        },
        // Table lookups, permutations, extraction.
        (0, 0, _) => plain(Unit::Vector),
        // Three registers of the same type.
        (0, 1, kind) if kind & 1 == 1 => match bits(code, 11, 5) {
            0b10010 => plain(Unit::VectorMul).adds(d).amount(2 - u32::from(narrow)),
            0b10011 | 0b10110 => plain(Unit::VectorMul).amount(2 - u32::from(narrow)),
            0b01000..=0b01011 => plain(Unit::VectorShift),
            0b11000.. => plain(Unit::VectorFloat),
            _ => plain(Unit::Vector),
        },
        // Three registers of different lengths.
        (0, 1, 0) => match bits(code, 12, 4) {
            0b1000..=0b1011 => plain(Unit::VectorMul).adds(d).narrow(false),
            0b1100..=0b1110 => plain(Unit::VectorMul).narrow(false),
            _ => plain(Unit::Vector).narrow(false),
        },
        // Two registers, and sums across a vector.
        _ => match (bits(code, 17, 4), bits(code, 12, 5)) {
            (0b1000, _) => Insn::new(Unit::VectorReduce).reads(n).writes(d).narrow(narrow),
            (_, 0b00110) => Insn::new(Unit::VectorPairs).reads(n).adds(d).writes(d).narrow(narrow),
            (_, 0b00010) => Insn::new(Unit::VectorPairs).reads(n).writes(d).narrow(narrow),
            (_, 0b11000..) => Insn::new(Unit::VectorFloat).reads(n).writes(d).narrow(narrow),
            // Narrowing with saturation.
            (_, 0b10100) => Insn::new(Unit::VectorShift).reads(n).writes(d).narrow(narrow),
            _ => Insn::new(Unit::Vector).reads(n).writes(d).narrow(narrow),
        },
    }
}

/// Scalar floating point.
fn floating(code: u32) -> Insn {
    let (d, n, m) = (v(code, 0), v(code, 5), v(code, 16));
    if bits(code, 24, 1) == 1 {
        return Insn::new(Unit::FloatMac).reads(n | m | v(code, 10)).writes(d);
    }
    match bits(code, 10, 2) {
        // Conversions and moves: which side is a core register does not matter to the models.
        0 if bits(code, 12, 4) == 0 && bits(code, 18, 1) == 1 => {
            Insn::new(Unit::Move).reads(x(code, 5) | n).writes(x(code, 0) | d)
        }
        2 if bits(code, 12, 4) == 1 => Insn::new(Unit::FloatDiv).reads(n | m).writes(d),
        0 if bits(code, 12, 7) == 0b0011100 => Insn::new(Unit::FloatDiv).reads(n).writes(d),
        _ => Insn::new(Unit::Float).reads(n | m).writes(d),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Encodings as `llvm-mc` gives them for `aarch64` with `dotprod` and `i8mm`.
    #[test]
    fn real_encodings() {
        for (text, code, unit, amount, narrow) in [
            ("ldr x0, [x1], #8", 0xf840_8420, Unit::Load, 1, false),
            ("ldr q0, [x1], #16", 0x3cc1_0420, Unit::VectorLoad, 1, false),
            ("ldr d0, [x1]", 0xfd40_0020, Unit::VectorLoad, 1, true),
            ("ldp q0, q1, [x2], #32", 0xacc1_0440, Unit::VectorLoad, 2, false),
            ("ldp x0, x1, [x2]", 0xa940_0440, Unit::LoadMany, 2, false),
            ("stp x29, x30, [sp, #-16]!", 0xa9bf_7bfd, Unit::StoreMany, 2, false),
            ("str w0, [x1, #4]", 0xb900_0420, Unit::Store, 1, false),
            ("ld1 {v0.16b, v1.16b}, [x0], #32", 0x4cdf_a000, Unit::VectorLoad, 2, false),
            ("ld1r {v0.16b}, [x0]", 0x4d40_c000, Unit::VectorLoad, 1, false),
            ("ld4 {v0.16b-v3.16b}, [x0]", 0x4c40_0000, Unit::VectorLoad, 4, false),
            ("st1 {v0.8b}, [x0], #8", 0x0c9f_7000, Unit::VectorStore, 1, true),
            ("smull v0.8h, v1.8b, v2.8b", 0x0e22_c020, Unit::VectorMul, 1, false),
            ("smlal2 v0.8h, v1.16b, v2.16b", 0x4e22_8020, Unit::VectorMul, 1, false),
            ("sadalp v0.4s, v1.8h", 0x4e60_6820, Unit::VectorPairs, 1, false),
            ("sdot v0.4s, v1.16b, v2.16b", 0x4e82_9420, Unit::VectorDot, 1, false),
            ("sdot v0.4s, v1.16b, v2.4b[0]", 0x4f82_e020, Unit::VectorDot, 1, false),
            ("smmla v0.4s, v1.16b, v2.16b", 0x4e82_a420, Unit::VectorDot, 1, false),
            ("mla v0.4s, v1.4s, v2.4s", 0x4ea2_9420, Unit::VectorMul, 2, false),
            ("sqrdmulh v0.4s, v1.4s, v2.4s", 0x6ea2_b420, Unit::VectorMul, 2, false),
            ("sqrdmulh v0.4s, v1.4s, v2.s[1]", 0x4fa2_d020, Unit::VectorMul, 2, false),
            ("srshl v0.4s, v1.4s, v2.4s", 0x4ea2_5420, Unit::VectorShift, 1, false),
            ("sshr v0.4s, v1.4s, #3", 0x4f3d_0420, Unit::VectorShift, 1, false),
            ("sshll v0.8h, v1.8b, #0", 0x0f08_a420, Unit::VectorShift, 1, true),
            ("add v0.4s, v1.4s, v2.4s", 0x4ea2_8420, Unit::Vector, 1, false),
            ("addv s0, v1.4s", 0x4eb1_b820, Unit::VectorReduce, 1, false),
            ("sqxtn v0.4h, v1.4s", 0x0e61_4820, Unit::VectorShift, 1, true),
            ("dup v0.16b, w0", 0x4e01_0c00, Unit::Move, 1, false),
            ("mov v0.d[1], x3", 0x4e18_1c60, Unit::Move, 1, false),
            ("mov w0, v1.s[0]", 0x0e04_3c20, Unit::Move, 1, false),
            ("movi v0.16b, #0", 0x4f00_e400, Unit::Vector, 1, false),
            ("tbl v0.16b, {v1.16b}, v2.16b", 0x4e02_0020, Unit::Vector, 1, false),
            ("ext v0.16b, v1.16b, v2.16b, #4", 0x6e02_2020, Unit::Vector, 1, false),
            ("saddw v0.8h, v1.8h, v2.8b", 0x0e22_1020, Unit::Vector, 1, false),
            ("fmla v0.4s, v1.4s, v2.4s", 0x4e22_cc20, Unit::VectorFloat, 1, false),
            ("fadd s0, s1, s2", 0x1e22_2820, Unit::Float, 1, false),
            ("fmadd s0, s1, s2, s3", 0x1f02_0c20, Unit::FloatMac, 1, false),
            ("fdiv s0, s1, s2", 0x1e22_1820, Unit::FloatDiv, 1, false),
            ("fmov w0, s1", 0x1e26_0020, Unit::Move, 1, false),
            ("add x0, x1, x2", 0x8b02_0020, Unit::Alu, 1, false),
            ("add x0, x1, x2, lsl #2", 0x8b02_0820, Unit::Shifted, 1, false),
            ("madd x0, x1, x2, x3", 0x9b02_0c20, Unit::Mul, 1, false),
            ("sdiv w0, w1, w2", 0x1ac2_0c20, Unit::Div, 1, false),
            ("lsl w0, w1, w2", 0x1ac2_2020, Unit::Alu, 1, false),
            ("csel w0, w1, w2, eq", 0x1a82_0020, Unit::Alu, 1, false),
            ("b.ne .-8", 0x54ff_ffc1, Unit::Branch, 1, false),
            ("tbnz w0, #3, .+8", 0x3718_0040, Unit::Branch, 1, false),
            ("bl .+8", 0x9400_0002, Unit::Branch, 1, false),
            ("ret", 0xd65f_03c0, Unit::Indirect, 1, false),
            ("nop", 0xd503_201f, Unit::Nop, 1, false),
        ] {
            let insn = decode(code);
            assert_eq!((insn.unit, insn.amount, insn.narrow), (unit, amount, narrow), "{text}");
        }
    }

    #[test]
    fn registers_of_the_inner_loop() {
        let load = decode(0x3cc1_0420);
        assert_eq!((load.address, load.writes), (core(1), core(1) | vector(0)));
        let product = decode(0x4e22_8020);
        assert_eq!((product.reads, product.adds), (vector(0) | vector(1) | vector(2), vector(0)));
        let indexed = decode(0x3862_6820);
        assert_eq!((indexed.address, indexed.writes, indexed.part), (core(1) | core(2), core(0), true));
    }
}
