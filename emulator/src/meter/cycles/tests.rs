//! Sequences of which the manuals and measurements named in `docs/cycles.md` say how long they take.

use std::sync::Arc;

use super::super::counts::Word;
use super::*;

const LOAD_R0: (u32, u8) = (0x6808, 2); // ldr r0, [r1]
const LOAD_R2: (u32, u8) = (0x681a, 2); // ldr r2, [r3]
const LOAD_FROM_R0: (u32, u8) = (0x6804, 2); // ldr r4, [r0]
const STORE_R4: (u32, u8) = (0x602c, 2); // str r4, [r5]
const STORE_INDEXED: (u32, u8) = (0x51b4, 2); // str r4, [r6, r6]
const SMLAD: (u32, u8) = (0xfb21_3002, 4); // smlad r0, r1, r2, r3
const SMLAD_CHAIN: (u32, u8) = (0xfb27_3306, 4); // smlad r3, r7, r6, r3
const SDIV: (u32, u8) = (0xfb97_f7f6, 4); // sdiv r7, r7, r6
const LDMIA: (u32, u8) = (0xc90d, 2); // ldmia r1!, {r0, r2, r3}
const LDRD: (u32, u8) = (0xe9d1_6700, 4); // ldrd r6, r7, [r1]
const ADD: (u32, u8) = (0x1c64, 2); // adds r4, r4, #1
const ADD_R5: (u32, u8) = (0x1c6d, 2); // adds r5, r5, #1
const BNE: (u32, u8) = (0xd1fd, 2); // bne .-2
const VLDRB_Q0: (u32, u8) = (0xecb0_1e10, 4); // vldrb.u8 q0, [r0], #16
const VMLA_Q3: (u32, u8) = (0xee13_6e42, 4); // vmla.s16 q3, q1, r2
const VADD_Q0: (u32, u8) = (0xef22_0844, 4); // vadd.i32 q0, q1, q2
const VMLAVA: (u32, u8) = (0xeef4_2f26, 4); // vmlava.s8 r2, q2, q3
const GATHER_16: (u32, u8) = (0xfc90_0e02, 4); // vldrb.u8 q0, [r0, q1]
const LE: (u32, u8) = (0xf00f_c003, 4); // le lr, .-4

fn block(address: u64, codes: &[(u32, u8)]) -> Arc<Block> {
    let mut block = Block { address, words: Vec::new() };
    let mut address = address;
    for &(code, size) in codes {
        block.words.push(Word { address, size, code });
        address += u64::from(size);
    }
    Arc::new(block)
}

/// Cycles of a straight sequence.
fn straight(core: Core, codes: &[(u32, u8)]) -> f64 {
    core.cycles(&Edge { from: None, to: block(0x100, codes), count: 1 }).1.iter().sum()
}

/// Cycles of a turn of a loop.
fn turn(core: Core, codes: &[(u32, u8)]) -> f64 {
    let body = block(0x100, codes);
    let (leaving, cycles) = core.cycles(&Edge { from: Some(body.clone()), to: body, count: 1 });
    leaving + cycles.iter().sum::<f64>()
}

#[test]
fn cortex_m4_as_its_manual_says() {
    for (codes, cycles) in [
        (&[LOAD_R0, LOAD_R2][..], 3.0),
        (&[LOAD_R0, LOAD_R2, STORE_R4], 4.0),
        (&[LOAD_R0, LOAD_FROM_R0], 4.0),
        (&[LOAD_R0, STORE_INDEXED], 3.0),
        (&[STORE_INDEXED], 2.0),
        (&[STORE_R4, LOAD_R0], 3.0),
        (&[LDMIA], 4.0),
        (&[LDRD], 3.0),
        (&[SMLAD, SMLAD_CHAIN], 2.0),
        (&[SDIV], 7.0),
        (&[ADD, BNE], 2.0),
    ] {
        assert_eq!(straight(Core::M4, codes), cycles, "{codes:x?}");
    }
    assert_eq!(turn(Core::M4, &[ADD, BNE]), 4.0);
}

#[test]
fn cortex_m7_pairs() {
    for (codes, cycles) in [
        (&[ADD, ADD_R5][..], 1.0),
        (&[ADD, ADD], 2.0),
        (&[LOAD_R0, ADD], 1.0),
        (&[SMLAD, SMLAD_CHAIN], 2.0),
        (&[SMLAD, STORE_R4], 2.0),
        (&[LOAD_R2, SMLAD], 3.0),
        (&[LOAD_R0, LOAD_FROM_R0], 3.0),
        (&[LOAD_R0, STORE_R4], 1.0),
        (&[LDMIA], 2.0),
    ] {
        assert_eq!(straight(Core::M7, codes), cycles, "{codes:x?}");
    }
    assert_eq!(turn(Core::M7, &[ADD, ADD_R5, SMLAD, BNE]), 2.0);
}

#[test]
fn cortex_m33_as_measured() {
    for (codes, cycles) in [
        (&[LOAD_R0, LOAD_FROM_R0][..], 3.0),
        (&[LOAD_R0, LOAD_R2], 2.0),
        (&[SMLAD_CHAIN, SMLAD_CHAIN], 2.0),
        (&[LDMIA], 3.0),
        (&[LDRD], 2.0),
        (&[ADD, BNE], 1.0),
    ] {
        assert_eq!(straight(Core::M33, codes), cycles, "{codes:x?}");
    }
    assert_eq!(turn(Core::M33, &[ADD, BNE]), 3.0);
}

#[test]
fn cortex_m55_overlaps_beats_of_different_units() {
    // A loop of n vector instructions on alternating units takes n cycles, on one unit 2 n; its end is free.
    assert_eq!(turn(Core::M55, &[VLDRB_Q0, VMLA_Q3, LE]), 2.0);
    assert_eq!(turn(Core::M55, &[VLDRB_Q0, VMLAVA, VLDRB_Q0, VMLAVA, LE]), 4.0);
    assert_eq!(turn(Core::M55, &[VMLA_Q3, VMLA_Q3, LE]), 4.0);
    assert_eq!(turn(Core::M55, &[VADD_Q0, VMLA_Q3, VLDRB_Q0, LE]), 3.0);
    // One element a cycle.
    assert_eq!(turn(Core::M55, &[GATHER_16, VMLA_Q3, LE]), 16.0);
}

const SMULL: (u32, u8) = (0x0e25_c083, 4); // smull v3.8h, v4.8b, v5.8b
const SMLAL2: (u32, u8) = (0x4e25_8083, 4); // smlal2 v3.8h, v4.16b, v5.16b
const SADALP: (u32, u8) = (0x4e60_6900, 4); // sadalp v0.4s, v8.8h
const SDOT: (u32, u8) = (0x4e82_9420, 4); // sdot v0.4s, v1.16b, v2.16b
const LDR_Q: (u32, u8) = (0x3cc1_0429, 4); // ldr q9, [x1], #16
const LDR_X: (u32, u8) = (0xf840_8443, 4); // ldr x3, [x2], #8

#[test]
fn cortex_a_limits() {
    // One product of vectors a cycle on A53, beside it a load of a core register but not of a vector.
    assert_eq!(straight(Core::A53, &[SADALP, LDR_X]), 1.0);
    assert_eq!(straight(Core::A53, &[SADALP, LDR_Q]), 3.0);
    assert_eq!(straight(Core::A53, &[SMULL, SMLAL2]), 2.0);
    // 16 products in two multiplications of the first pipe and one sum of the second.
    assert_eq!(straight(Core::A72, &[SMULL, SMLAL2, SADALP]), 2.0);
    // 32 products a cycle.
    assert_eq!(straight(Core::A76, &[SDOT, SDOT]), 1.0);
    assert_eq!(straight(Core::A72, &[LDR_Q, LDR_Q]), 2.0);
    assert_eq!(straight(Core::A76, &[LDR_Q, LDR_Q]), 1.0);
}

#[test]
fn boards_and_processors_have_tables() {
    for (name, core) in [
        ("Cortex-M4F", Some(Core::M4)),
        ("Cortex-M7", Some(Core::M7)),
        ("Cortex-M55", Some(Core::M55)),
        ("cortex-a76", Some(Core::A76)),
        ("Cortex-M0", None),
        ("max", None),
    ] {
        assert_eq!(Core::find(name), core, "{name}");
    }
}
