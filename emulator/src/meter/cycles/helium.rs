//! Floating point and Helium instructions of Thumb (Arm v8-M Architecture Reference Manual, DDI 0553).

use super::insn::{Insn, Unit, core, vector};
use super::thumb::bits;

/// Decodes an instruction of the coprocessor space.
pub(super) fn decode(code: u32) -> Insn {
    let first = code >> 16;
    let memory = first & 0xee00 == 0xec00;
    match bits(code, 9, 3) {
        // Coprocessors 10 and 11.
        0b101 if memory => float_memory(code),
        0b101 if first & 0xff00 == 0xee00 && code & 0x10 != 0 => transfer(code),
        0b101 if first & 0xff00 == 0xee00 => float(code),
        0b111 if memory => vector_memory(code),
        _ => arithmetic(code),
    }
}

/// A vector register of 128 bits that holds the single or double register at bit `low`.
fn part(code: u32, low: u32) -> u64 {
    vector(bits(code, low, 4) >> 1)
}

fn float_memory(code: u32) -> Insn {
    let first = code >> 16;
    let (base, register) = (core(bits(code, 16, 4)), part(code, 12));
    let load = first & 0x10 != 0;
    if first & 0xffe0 == 0xec40 {
        return Insn::new(Unit::Move).amount(2);
    }
    let single = first & 0x0120 == 0x0100;
    let words = match (single, code & 0x100 != 0) {
        (true, double) => 1 + u32::from(double),
        (false, _) => bits(code, 0, 8),
    };
    let unit = match (load, words) {
        (true, 1) => Unit::Load,
        (true, _) => Unit::LoadMany,
        (false, 1) => Unit::Store,
        (false, _) => Unit::StoreMany,
    };
    let insn = Insn::new(unit).at(base).amount(words);
    let insn = if single { insn } else { insn.writes(base) };
    if load { insn.writes(register) } else { insn.reads(register) }
}

/// Between a core register and a single register, a lane or all lanes.
fn transfer(code: u32) -> Insn {
    let first = code >> 16;
    let register = core(bits(code, 12, 4));
    let value = part(code, 16);
    // VDUP
    if first & 0x90 == 0x80 && code & 0x100 != 0 {
        Insn::new(Unit::Vector).reads(register).writes(vector(bits(code, 17, 3)))
    } else if first & 0x10 != 0 {
        Insn::new(Unit::Move).reads(value).writes(register)
    } else {
        Insn::new(Unit::Move).reads(register).writes(value)
    }
}

fn float(code: u32) -> Insn {
    let operands = part(code, 16) | part(code, 0);
    let result = part(code, 12);
    let plain = |unit| Insn::new(unit).reads(operands).writes(result);
    match bits(code, 20, 4) & 0b1011 {
        0b0000 | 0b0001 | 0b1001 | 0b1010 => plain(Unit::FloatMac).adds(result),
        0b1000 => plain(Unit::FloatDiv),
        0b1011 if bits(code, 16, 4) == 1 && code & 0xc0 == 0xc0 => plain(Unit::FloatDiv),
        _ => plain(Unit::Float),
    }
}

fn vector_memory(code: u32) -> Insn {
    let first = code >> 16;
    let (base, register) = (core(bits(code, 16, 4)), vector(bits(code, 13, 3)));
    let load = first & 0x10 != 0;
    let based_on_vector = first & 0xff00 == 0xfd00 && code & 0x1e00 == 0x1e00;
    let result = |insn: Insn| if load { insn.writes(register) } else { insn.reads(register) };
    // Two lanes to or from two core registers.
    if first & 0x01a0 == 0 {
        return Insn::new(Unit::Move).amount(2);
    }
    // VLD2, VLD4, VST2, VST4: each moves one vector's worth.
    if first & 0xff00 == 0xfc00 && code & 0x1e00 == 0x1e00 {
        let written = if first & 0x20 != 0 { base } else { 0 };
        let unit = if load { Unit::VectorLoad } else { Unit::VectorStore };
        return result(Insn::new(unit).at(base).writes(written));
    }
    if based_on_vector {
        let elements = if code & 0x100 == 0 { 4 } else { 2 };
        return result(Insn::new(Unit::Gather).at(vector(bits(code, 17, 3))).amount(elements));
    }
    if first & 0x0120 == 0 {
        let elements = 16 >> bits(code, 7, 2);
        return result(Insn::new(Unit::Gather).at(base | vector(bits(code, 1, 3))).amount(elements));
    }
    // Of a widening or narrowing transfer the base is one of the lower eight; its field ends at bit 18.
    let base = if code & 0x1000 == 0 { core(bits(code, 16, 3)) } else { base };
    let written = if first & 0x20 != 0 { base } else { 0 };
    let unit = if load { Unit::VectorLoad } else { Unit::VectorStore };
    result(Insn::new(unit).at(base).writes(written))
}

fn arithmetic(code: u32) -> Insn {
    let first = code >> 16;
    let kind = bits(code, 8, 4);
    let (qd, qn, qm) = (vector(bits(code, 13, 3)), vector(bits(code, 17, 3)), vector(bits(code, 1, 3)));
    let both = qn | qm;
    let simple = first & 0xef00 == 0xef00;
    let upper = first & 0x80 != 0;
    match kind {
        // VPST
        _ if first & 0xffb1 == 0xfe31 && code & 0x1fff == 0x0f4d => Insn::new(Unit::VectorIf),
        // Sums, extremes across a vector.
        0xf if first & 0xeff3 == 0xeef1 || first & 0xeff3 == 0xeee2 => {
            let sum = core(bits(code, 12, 4) & if first & 1 == 1 { 0xe } else { 0xf });
            Insn::new(Unit::Vector).reads(qm).adds(sum).writes(sum)
        }
        // Products into core registers, of 32 or 64 bits.
        0xe | 0xf if !simple && upper && first & 1 == 0 && code & 0x41 == 0 => {
            let low = core(bits(code, 13, 3) << 1);
            let high = core(bits(code, 20, 3) << 1 | 1);
            let sum = if bits(code, 20, 3) == 7 { low } else { low | high };
            let insn = Insn::new(Unit::VectorReduce).reads(both).writes(sum);
            if code & 0x20 != 0 { insn.adds(sum) } else { insn }
        }
        0xe if !simple && !upper && bits(code, 20, 2) != 3 => {
            let scalar = code & 0x40 != 0;
            let insn =
                Insn::new(Unit::VectorMul).reads(if scalar { qn | core(bits(code, 0, 4)) } else { both });
            let insn = if scalar && code & 0x20 == 0 { insn.adds(qd) } else { insn };
            insn.writes(qd)
        }
        // VQDMULL
        0xf if first & 0xefb1 == 0xee30 && code & 0x51 == 0x01 => {
            Insn::new(Unit::VectorMul).reads(both).writes(qd)
        }
        0xe | 0xf if !simple => {
            let scalar = code & 0x40 != 0 && !upper;
            let second = if scalar { core(bits(code, 0, 4)) } else { qm };
            Insn::new(Unit::Vector).reads(qn | second).writes(qd)
        }
        0x9 if simple && !upper && code & 0x10 != 0 => Insn::new(Unit::VectorMul).reads(both).writes(qd),
        0xb if simple && !upper => Insn::new(Unit::VectorMul).reads(both).writes(qd),
        0xc | 0xd if simple && !upper => Insn::new(Unit::VectorFloat).reads(both | qd).writes(qd),
        _ if simple && upper => Insn::new(Unit::VectorShift).reads(qm).writes(qd),
        0x4 | 0x5 if simple => Insn::new(Unit::VectorShift).reads(both).writes(qd),
        _ => Insn::new(Unit::Vector).reads(both).writes(qd),
    }
}

#[cfg(test)]
mod tests {
    use super::super::thumb;
    use super::*;

    /// Encodings as `llvm-mc` gives them for `thumbv8.1m.main` with `mve.fp`.
    #[test]
    fn real_encodings() {
        let unit = |code| {
            let insn = thumb::decode(code, 4);
            (insn.unit, insn.amount)
        };
        for (text, code, expected) in [
            ("vldrb.u8 q0, [r0], #16", 0xecb0_1e10, (Unit::VectorLoad, 1)),
            ("vldrb.s16 q0, [r0], #8", 0xecb0_0e88, (Unit::VectorLoad, 1)),
            ("vldrw.u32 q1, [r1]", 0xed91_3f00, (Unit::VectorLoad, 1)),
            ("vstrb.8 q0, [r0], #16", 0xeca0_1e10, (Unit::VectorStore, 1)),
            ("vldrb.u8 q0, [r0, q1]", 0xfc90_0e02, (Unit::Gather, 16)),
            ("vldrb.s16 q0, [r0, q1]", 0xec90_0e82, (Unit::Gather, 8)),
            ("vldrw.u32 q0, [r0, q1, uxtw #2]", 0xfc90_0f43, (Unit::Gather, 4)),
            ("vldrw.u32 q0, [q1, #4]", 0xfd92_1e01, (Unit::Gather, 4)),
            ("vstrb.16 q0, [r0, q1]", 0xec80_0e82, (Unit::Gather, 8)),
            ("vld20.8 {q0, q1}, [r0]", 0xfc90_1e00, (Unit::VectorLoad, 1)),
            ("vld43.32 {q0-q3}, [r0]!", 0xfcb0_1f61, (Unit::VectorLoad, 1)),
            ("vst20.8 {q0, q1}, [r0]", 0xfc80_1e00, (Unit::VectorStore, 1)),
            ("vmlava.s8 r0, q1, q2", 0xeef2_0f24, (Unit::VectorReduce, 1)),
            ("vmlalva.s16 r0, r1, q1, q2", 0xee82_0e24, (Unit::VectorReduce, 1)),
            ("vaddva.s8 r0, q1", 0xeef1_0f22, (Unit::Vector, 1)),
            ("vmla.s8 q0, q1, r2", 0xee03_0e42, (Unit::VectorMul, 1)),
            ("vmul.i32 q0, q1, q2", 0xef22_0954, (Unit::VectorMul, 1)),
            ("vmul.i32 q0, q1, r2", 0xee23_1e62, (Unit::VectorMul, 1)),
            ("vqrdmulh.s32 q0, q1, q2", 0xff22_0b44, (Unit::VectorMul, 1)),
            ("vqrdmulh.s32 q0, q1, r2", 0xfe23_0e62, (Unit::VectorMul, 1)),
            ("vmulh.s8 q0, q1, q2", 0xee03_0e05, (Unit::VectorMul, 1)),
            ("vmullb.s8 q0, q1, q2", 0xee03_0e04, (Unit::VectorMul, 1)),
            ("vqdmullb.s16 q0, q1, q2", 0xee32_0f05, (Unit::VectorMul, 1)),
            ("vadd.i32 q0, q1, q2", 0xef22_0844, (Unit::Vector, 1)),
            ("vadd.i32 q0, q1, r2", 0xee23_0f42, (Unit::Vector, 1)),
            ("vmax.s32 q0, q1, q2", 0xef22_0644, (Unit::Vector, 1)),
            ("vrshl.s32 q0, q1, q2", 0xef24_0542, (Unit::VectorShift, 1)),
            ("vrshl.s32 q0, r2", 0xee3b_1e62, (Unit::Vector, 1)),
            ("vshr.s32 q0, q1, #3", 0xefbd_0052, (Unit::VectorShift, 1)),
            ("vshllb.s8 q0, q1, #8", 0xee31_0e03, (Unit::Vector, 1)),
            ("vmovlb.s8 q0, q1", 0xeea8_0f42, (Unit::Vector, 1)),
            ("vdup.8 q0, r1", 0xeee0_1b10, (Unit::Vector, 1)),
            ("vmov q0[2], q0[0], r0, r1", 0xec11_0f00, (Unit::Move, 2)),
            ("vmov.32 q0[0], r1", 0xee00_1b10, (Unit::Move, 1)),
            ("vand q0, q1, q2", 0xef02_0154, (Unit::Vector, 1)),
            ("vpst", 0xfe71_0f4d, (Unit::VectorIf, 1)),
            ("vcmp.s32 gt, q0, r1", 0xfe21_1f61, (Unit::Vector, 1)),
            ("vpsel q0, q1, q2", 0xfe33_0f05, (Unit::Vector, 1)),
            ("vmaxv.s8 r0, q1", 0xeee2_0f02, (Unit::Vector, 1)),
            ("vfma.f32 q0, q1, q2", 0xef02_0c54, (Unit::VectorFloat, 1)),
            ("vadd.f32 s0, s1, s2", 0xee30_0a81, (Unit::Float, 1)),
            ("vfma.f32 s0, s1, s2", 0xeea0_0a81, (Unit::FloatMac, 1)),
            ("vdiv.f32 s0, s1, s2", 0xee80_0a81, (Unit::FloatDiv, 1)),
            ("vsqrt.f32 s0, s1", 0xeeb1_0ae0, (Unit::FloatDiv, 1)),
            ("vldr s0, [r1, #4]", 0xed91_0a01, (Unit::Load, 1)),
            ("vpush {s16-s31}", 0xed2d_8a10, (Unit::StoreMany, 16)),
            ("vpop {d8-d15}", 0xecbd_8b10, (Unit::LoadMany, 16)),
            ("vmov s0, s1, r0, r1", 0xec41_0a10, (Unit::Move, 2)),
            ("csel r0, r1, r2, eq", 0xea51_8002, (Unit::Alu, 1)),
        ] {
            assert_eq!(unit(code), expected, "{text}");
        }
    }

    #[test]
    fn registers_of_the_inner_loop() {
        let load = thumb::decode(0xecb0_1e10, 4);
        assert_eq!((load.address, load.writes), (core(0), core(0) | vector(0)));
        let product = thumb::decode(0xee13_6e42, 4);
        assert_eq!((product.reads, product.adds), (vector(1) | vector(3) | core(2), vector(3)));
        let sum = thumb::decode(0xee82_0e24, 4);
        assert_eq!((sum.adds, sum.writes), (core(0) | core(1), core(0) | core(1)));
    }
}
