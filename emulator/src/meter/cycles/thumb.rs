//! Thumb: Arm v7-M and v8-M Architecture Reference Manuals (DDI 0403, DDI 0553), chapters of the instruction encodings.

use super::helium;
use super::insn::{Insn, Registers, Unit, core};

const PC: u32 = 15;
const SP: u32 = 13;
const LR: u32 = 14;

/// Bits `low..low + width` of `code`.
pub(super) const fn bits(code: u32, low: u32, width: u32) -> u32 {
    code >> low & ((1 << width) - 1)
}

/// Decodes an instruction of `size` bytes; of a long one the first halfword is above.
pub(crate) fn decode(code: u32, size: u8) -> Insn {
    if size == 2 { short(code).narrow(true) } else { long(code) }
}

fn short(code: u32) -> Insn {
    let low = |at| core(bits(code, at, 3));
    let alu = Insn::new(Unit::Alu);
    match code >> 11 {
        // Shifts by a constant, sums of three registers.
        0..=2 => alu.reads(low(3)).writes(low(0)),
        3 if code & 0x0400 == 0 => alu.reads(low(3) | low(6)).writes(low(0)),
        3 => alu.reads(low(3)).writes(low(0)),
        4 => alu.writes(low(8)),
        5 => alu.reads(low(8)),
        6 | 7 => alu.reads(low(8)).writes(low(8)),
        8 if code & 0x0400 == 0 => match bits(code, 6, 4) {
            13 => Insn::new(Unit::Mul).reads(low(0) | low(3)).writes(low(0)),
            8 | 10 | 11 => alu.reads(low(0) | low(3)),
            _ => alu.reads(low(0) | low(3)).writes(low(0)),
        },
        8 => {
            let (rd, rm) = (bits(code, 0, 3) | bits(code, 7, 1) << 3, bits(code, 3, 4));
            match bits(code, 8, 2) {
                0 => alu.reads(core(rd) | core(rm)).writes(core(rd)),
                1 => alu.reads(core(rd) | core(rm)),
                2 => alu.reads(core(rm)).writes(core(rd)),
                _ if code & 0x80 != 0 => Insn::new(Unit::Indirect).reads(core(rm)).writes(core(LR)),
                _ => Insn::new(Unit::Indirect).reads(core(rm)),
            }
        }
        9 => Insn::new(Unit::Load).at(core(PC)).writes(low(8)),
        10 | 11 => match bits(code, 9, 3) {
            0..=2 => Insn::new(Unit::StoreIndexed).at(low(3) | low(6)).reads(low(0)),
            kind => Insn::new(Unit::Load).at(low(3) | low(6)).writes(low(0)).part(kind != 4),
        },
        kind @ 12..=17 if kind & 1 == 0 => Insn::new(Unit::Store).at(low(3)).reads(low(0)),
        kind @ 12..=17 => Insn::new(Unit::Load).at(low(3)).writes(low(0)).part(kind != 13),
        18 => Insn::new(Unit::Store).at(core(SP)).reads(low(8)),
        19 => Insn::new(Unit::Load).at(core(SP)).writes(low(8)),
        20 | 21 => alu.reads(core(SP)).writes(low(8)),
        22 | 23 => miscellaneous(code),
        24 => many(Unit::StoreMany, bits(code, 8, 3), code & 0xff, true),
        25 => many(Unit::LoadMany, bits(code, 8, 3), code & 0xff, true),
        26 | 27 if code & 0x0e00 == 0x0e00 => Insn::new(Unit::System),
        _ => Insn::new(Unit::Branch),
    }
}

fn miscellaneous(code: u32) -> Insn {
    let low = |at| core(bits(code, at, 3));
    match code & 0x0f00 {
        _ if code & 0x0500 == 0x0100 => Insn::new(Unit::Branch).reads(low(0)),
        0 => Insn::new(Unit::Alu).reads(core(SP)).writes(core(SP)),
        0x200 | 0xa00 => Insn::new(Unit::Shifted).reads(low(3)).writes(low(0)),
        0x400 | 0x500 => many(Unit::StoreMany, SP, code & 0xff | (code & 0x100) << 6, true),
        0xc00 | 0xd00 => many(Unit::LoadMany, SP, code & 0xff | (code & 0x100) << 7, true),
        0xf00 if code & 0xf == 0 => Insn::new(Unit::Nop),
        0xf00 => Insn::new(Unit::If),
        _ => Insn::new(Unit::System),
    }
}

fn many(unit: Unit, base: u32, list: u32, written: bool) -> Insn {
    let insn = Insn::new(unit).at(core(base)).amount(list.count_ones());
    let insn = if written { insn.writes(core(base)) } else { insn };
    if unit == Unit::LoadMany {
        insn.writes(Registers::from(list))
    } else {
        insn.reads(Registers::from(list))
    }
}

fn long(code: u32) -> Insn {
    let first = code >> 16;
    let (rn, rt, rd, rm) = (bits(code, 16, 4), bits(code, 12, 4), bits(code, 8, 4), bits(code, 0, 4));
    match first >> 9 {
        // 1110100: multiple, double, exclusive, table branch.
        0b111_0100 => match first & 0x40 {
            0 if first & 0x10 != 0 => many(Unit::LoadMany, rn, code & 0xffff, first & 0x20 != 0),
            0 => many(Unit::StoreMany, rn, code & 0xffff, first & 0x20 != 0),
            _ if first & 0xfff0 == 0xe8d0 && code & 0xffe0 == 0xf000 => {
                Insn::new(Unit::Table).at(core(rn) | core(rm))
            }
            // Neither indexed nor written back: exclusive, acquire, release.
            _ if first & 0x0120 == 0 && first & 0x10 != 0 => {
                Insn::new(Unit::Load).at(core(rn)).writes(core(rt))
            }
            _ if first & 0x0120 == 0 => Insn::new(Unit::Store).at(core(rn)).reads(core(rt)).writes(core(rm)),
            _ => {
                let pair = core(rt) | core(rd);
                let base = if first & 0x20 != 0 { core(rn) } else { 0 };
                if first & 0x10 != 0 {
                    Insn::new(Unit::LoadMany).at(core(rn)).writes(pair | base).amount(2)
                } else {
                    Insn::new(Unit::StoreMany).at(core(rn)).reads(pair).writes(base).amount(2)
                }
            }
        },
        0b111_0101 => {
            // A shift alone is a move with a shifted operand; CSEL and its kin have their condition where others shift.
            let alone = first & 0xffef == 0xea4f || code & 0x8000 != 0;
            let unit = if alone || code & 0x70c0 == 0 { Unit::Alu } else { Unit::Shifted };
            compared(Insn::new(unit).reads(core(rn) | core(rm)), rd)
        }
        0b111_1000..=0b111_1011 if code & 0x8000 != 0 => control(code),
        0b111_1000..=0b111_1011 => {
            // Bit fields and saturation shift first.
            let unit =
                if first & 0x0340 == 0x0300 || first & 0x0340 == 0x0340 { Unit::Shifted } else { Unit::Alu };
            compared(Insn::new(unit).reads(core(rn)), rd)
        }
        0b111_1100 => single(code),
        0b111_1101 => operation(code),
        _ => helium::decode(code),
    }
}

/// A destination of 15 stands for a comparison.
fn compared(insn: Insn, rd: u32) -> Insn {
    if rd == PC { insn } else { insn.writes(core(rd)) }
}

fn control(code: u32) -> Insn {
    let second = code & 0xffff;
    match second & 0xd000 {
        _ if second == 0xe801 => Insn::new(Unit::VectorIf).reads(core(bits(code, 16, 4))),
        // LE and LETP branch back; the others start a loop.
        0xc000 if second & 1 == 1 && second & 0x2000 == 0 && code >> 16 & 0xffcf == 0xf00f => {
            Insn::new(Unit::Loop).reads(core(LR)).writes(core(LR))
        }
        0xc000 if second & 1 == 1 => {
            Insn::new(Unit::LoopStart).reads(core(bits(code, 16, 4))).writes(core(LR))
        }
        0xd000 => Insn::new(Unit::Branch).writes(core(LR)),
        0x9000 => Insn::new(Unit::Branch),
        0x8000 if code >> 16 & 0x0380 != 0x0380 => Insn::new(Unit::Branch),
        0x8000 if code >> 16 == 0xf3af => Insn::new(Unit::Nop),
        _ => Insn::new(Unit::System),
    }
}

/// Loads and stores of one register.
fn single(code: u32) -> Insn {
    let first = code >> 16;
    let (rn, rt, rm) = (bits(code, 16, 4), bits(code, 12, 4), bits(code, 0, 4));
    let indexed = first & 0x80 == 0 && code & 0x0fc0 == 0 && rn != PC;
    let written = first & 0x80 == 0 && code & 0x0900 == 0x0900 && rn != PC;
    let address = core(rn) | if indexed { core(rm) } else { 0 };
    let base = if written { core(rn) } else { 0 };
    let part = first & 0x60 != 0x40;
    match (first & 0x10 != 0, indexed) {
        (true, _) if rt == PC && part => Insn::new(Unit::Nop).at(address),
        (true, _) => Insn::new(Unit::Load).at(address).writes(core(rt) | base).part(part),
        (false, true) => Insn::new(Unit::StoreIndexed).at(address).reads(core(rt)),
        (false, false) => Insn::new(Unit::Store).at(address).reads(core(rt)).writes(base),
    }
}

/// Data processing on registers, multiplication, division.
fn operation(code: u32) -> Insn {
    let first = code >> 16;
    let (rn, ra, rd, rm) = (bits(code, 16, 4), bits(code, 12, 4), bits(code, 8, 4), bits(code, 0, 4));
    let factors = core(rn) | core(rm);
    match first & 0x0180 {
        0x100 => {
            let sum = if ra == PC { 0 } else { core(ra) };
            Insn::new(Unit::Mul).reads(factors).adds(sum).writes(core(rd))
        }
        0x180 if code & 0xf0 == 0xf0 => Insn::new(Unit::Div).reads(factors).writes(core(rd)),
        0x180 => {
            let pair = core(ra) | core(rd);
            let sum = if first & 0x40 == 0 { 0 } else { pair };
            Insn::new(Unit::Mul).reads(factors).adds(sum).writes(pair)
        }
        // Shifts by a register.
        0 if code & 0xf0 == 0 => Insn::new(Unit::Alu).reads(factors).writes(core(rd)),
        _ => {
            let base = if rn == PC { 0 } else { core(rn) };
            Insn::new(Unit::Shifted).reads(base | core(rm)).writes(core(rd))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Encodings as `arm-none-eabi-as` gives them.
    #[test]
    fn real_encodings() {
        let r = |list: &[u32]| list.iter().map(|&r| core(r)).sum::<u64>();
        for (text, code, size, expected) in [
            ("adds r0, r1, r2", 0x1888, 2, Insn::new(Unit::Alu).reads(r(&[1, 2])).writes(r(&[0]))),
            ("muls r1, r2", 0x4351, 2, Insn::new(Unit::Mul).reads(r(&[1, 2])).writes(r(&[1]))),
            ("bx lr", 0x4770, 2, Insn::new(Unit::Indirect).reads(r(&[14]))),
            ("ldr r3, [r4, #8]", 0x68a3, 2, Insn::new(Unit::Load).at(r(&[4])).writes(r(&[3]))),
            ("ldrb r3, [r4, #8]", 0x7a23, 2, Insn::new(Unit::Load).at(r(&[4])).writes(r(&[3])).part(true)),
            ("str r1, [r2, r3]", 0x50d1, 2, Insn::new(Unit::StoreIndexed).at(r(&[2, 3])).reads(r(&[1]))),
            ("push {r4, lr}", 0xb510, 2, many(Unit::StoreMany, 13, 0x4010, true)),
            ("pop {r4, pc}", 0xbd10, 2, many(Unit::LoadMany, 13, 0x8010, true)),
            ("cbz r0, .+8", 0xb110, 2, Insn::new(Unit::Branch).reads(r(&[0]))),
            ("it eq", 0xbf08, 2, Insn::new(Unit::If)),
            ("bne .-2", 0xd1fd, 2, Insn::new(Unit::Branch)),
            ("ldmia r0!, {r1-r3}", 0xc80e, 2, many(Unit::LoadMany, 0, 0xe, true)),
            (
                "ldrd r2, r3, [r0], #8",
                0xe8f0_2302,
                4,
                Insn::new(Unit::LoadMany).at(r(&[0])).writes(r(&[0, 2, 3])).amount(2),
            ),
            (
                "strd r2, r3, [sp, #8]",
                0xe9cd_2302,
                4,
                Insn::new(Unit::StoreMany).at(r(&[13])).reads(r(&[2, 3])).amount(2),
            ),
            ("ldr.w r2, [r3], #4", 0xf853_2b04, 4, Insn::new(Unit::Load).at(r(&[3])).writes(r(&[2, 3]))),
            (
                "ldrsb.w r1, [r2, #1]!",
                0xf912_1f01,
                4,
                Insn::new(Unit::Load).at(r(&[2])).writes(r(&[1, 2])).part(true),
            ),
            (
                "ldr.w r1, [r2, r3, lsl #2]",
                0xf852_1023,
                4,
                Insn::new(Unit::Load).at(r(&[2, 3])).writes(r(&[1])),
            ),
            ("str.w r1, [r2, #64]", 0xf8c2_1040, 4, Insn::new(Unit::Store).at(r(&[2])).reads(r(&[1]))),
            ("tbb [pc, r0]", 0xe8df_f000, 4, Insn::new(Unit::Table).at(r(&[15, 0]))),
            (
                "add.w r0, r1, r2, lsl #3",
                0xeb01_00c2,
                4,
                Insn::new(Unit::Shifted).reads(r(&[1, 2])).writes(r(&[0])),
            ),
            ("lsl.w r0, r1, #3", 0xea4f_00c1, 4, Insn::new(Unit::Alu).reads(r(&[15, 1])).writes(r(&[0]))),
            ("csel r0, r1, r2, ne", 0xea51_8012, 4, Insn::new(Unit::Alu).reads(r(&[1, 2])).writes(r(&[0]))),
            ("csetm r0, lt", 0xea5f_a0bf, 4, Insn::new(Unit::Alu).reads(r(&[15])).writes(r(&[0]))),
            ("mov.w r3, #-1", 0xf04f_33ff, 4, Insn::new(Unit::Alu).reads(r(&[15])).writes(r(&[3]))),
            ("ssat r0, #8, r1", 0xf301_0007, 4, Insn::new(Unit::Shifted).reads(r(&[1])).writes(r(&[0]))),
            (
                "smlad r0, r1, r2, r3",
                0xfb21_3002,
                4,
                Insn::new(Unit::Mul).reads(r(&[1, 2])).adds(r(&[3])).writes(r(&[0])),
            ),
            ("smmulr r0, r1, r2", 0xfb51_f012, 4, Insn::new(Unit::Mul).reads(r(&[1, 2])).writes(r(&[0]))),
            (
                "smlal r0, r1, r2, r3",
                0xfbc2_0103,
                4,
                Insn::new(Unit::Mul).reads(r(&[2, 3])).adds(r(&[0, 1])).writes(r(&[0, 1])),
            ),
            (
                "smull r0, r1, r2, r3",
                0xfb82_0103,
                4,
                Insn::new(Unit::Mul).reads(r(&[2, 3])).writes(r(&[0, 1])),
            ),
            ("sdiv r0, r1, r2", 0xfb91_f0f2, 4, Insn::new(Unit::Div).reads(r(&[1, 2])).writes(r(&[0]))),
            (
                "sxtb16 r0, r1, ror #8",
                0xfa2f_f091,
                4,
                Insn::new(Unit::Shifted).reads(r(&[1])).writes(r(&[0])),
            ),
            ("lsl.w r0, r1, r2", 0xfa01_f002, 4, Insn::new(Unit::Alu).reads(r(&[1, 2])).writes(r(&[0]))),
            ("bl .+4", 0xf000_f800, 4, Insn::new(Unit::Branch).writes(r(&[14]))),
            ("bne.w .-4", 0xf47f_affc, 4, Insn::new(Unit::Branch)),
            ("b.w .", 0xf7ff_bffe, 4, Insn::new(Unit::Branch)),
            ("dsb sy", 0xf3bf_8f4f, 4, Insn::new(Unit::System)),
            ("dls lr, r0", 0xf040_e001, 4, Insn::new(Unit::LoopStart).reads(r(&[0])).writes(r(&[14]))),
            (
                "wlstp.8 lr, r0, .+8",
                0xf000_c003,
                4,
                Insn::new(Unit::LoopStart).reads(r(&[0])).writes(r(&[14])),
            ),
            ("letp lr, .", 0xf01f_c003, 4, Insn::new(Unit::Loop).reads(r(&[14])).writes(r(&[14]))),
            ("vctp.8 r1", 0xf001_e801, 4, Insn::new(Unit::VectorIf).reads(r(&[1]))),
        ] {
            assert_eq!(decode(code, size), expected.narrow(size == 2), "{text}");
        }
    }
}
