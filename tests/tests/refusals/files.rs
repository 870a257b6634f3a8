//! Headers, parts and capacities.

use crate::{chain, chain_file, parse, word};
use dunlin::format::{HEADER_LEN, encode, reseal};
use dunlin::{AlignedVec, Model, ParseError, Part, Storage};

#[test]
fn headers() {
    let good = chain_file();
    assert_eq!(parse(&good), Ok(()));
    let with = |at: usize, bytes: &[u8]| {
        let mut file = good.clone();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        reseal(&mut file);
        parse(&file)
    };
    assert_eq!(with(0, b"dunl"), Err(ParseError::Magic { found: u32::from_le_bytes(*b"dunl") }));
    assert_eq!(with(4, &[0, 0]), Err(ParseError::Version { found: 0, supported: 1 }));
    assert_eq!(with(4, &[2, 0]), Err(ParseError::Version { found: 2, supported: 1 }));
    assert_eq!(with(4, &[1, 1]), Err(ParseError::Version { found: 257, supported: 1 }));
    assert_eq!(with(6, &[3]), Err(ParseError::Target { found: 3 }));
    assert_eq!(with(7, &[1]), Err(ParseError::Header { offset: 7, found: 1 }));
    assert_eq!(with(60, &[9]), Err(ParseError::Header { offset: 60, found: 9 }));
    assert_eq!(with(48, &[0xff, 0xff]), Err(ParseError::Header { offset: 48, found: 65_535 }));
    for (at, bad) in [(16, 0u32), (16, u32::MAX), (24, 64), (32, u32::MAX - 15)] {
        assert_eq!(
            with(at, &bad.to_le_bytes()),
            Err(ParseError::Header { offset: at as u32, found: bad }),
            "{at}"
        );
    }
    for at in [20usize, 28, 36] {
        let found = word(&good, at - 4);
        assert_eq!(with(at, &[0xff; 4]), Err(ParseError::Header { offset: at as u32 - 4, found }), "{at}");
    }
    // The data section one byte later ends beyond the file; one byte shorter as well, it is only misaligned.
    let (start, len) = (word(&good, 32), word(&good, 36));
    let moved: Vec<u8> = [start + 1, len - 1].into_iter().flat_map(u32::to_le_bytes).collect();
    assert_eq!(with(32, &moved), Err(ParseError::Header { offset: 32, found: start + 1 }));

    let mut short = good.clone();
    short[8..12].copy_from_slice(&63u32.to_le_bytes());
    assert_eq!(parse(&short), Err(ParseError::Header { offset: 8, found: 63 }));
    let mut damaged = good.clone();
    damaged[70] ^= 4;
    let computed = dunlin::format::checksum(&damaged);
    assert_eq!(parse(&damaged), Err(ParseError::Checksum { computed, expected: word(&good, 12) }));
    let mut longer = good.clone();
    longer.extend([1, 2, 3]);
    assert_eq!(parse(&longer), Ok(()), "bytes after the stated length do not count");
}

#[test]
fn memory_that_is_not_aligned() {
    let good = chain_file();
    let mut bytes = AlignedVec::zeroed(good.len() + 16);
    for shift in 1..16usize {
        bytes.as_mut_slice()[shift..shift + good.len()].copy_from_slice(&good);
        let result = Model::parse(&bytes.as_slice()[shift..], &mut Storage::<4, 4, 8>::new()).map(|_| ());
        assert_eq!(result, Err(ParseError::Misaligned { remainder: shift as u8 }));
    }
}

#[test]
fn tables_that_the_storage_cannot_hold() {
    let file = encode(&chain()).unwrap();
    let capacity = |part, needed, capacity| Err(ParseError::Capacity { part, needed, capacity });
    let parse = |result: Result<Model<'_>, ParseError>| result.map(|_| ());
    let bytes = file.as_slice();
    assert_eq!(parse(Model::parse(bytes, &mut Storage::<1, 4, 8>::new())), capacity(Part::Nodes, 2, 1));
    assert_eq!(parse(Model::parse(bytes, &mut Storage::<2, 2, 8>::new())), capacity(Part::Tensors, 3, 2));
    assert_eq!(parse(Model::parse(bytes, &mut Storage::<2, 3, 3>::new())), capacity(Part::Ids, 4, 3));
    assert_eq!(parse(Model::parse(bytes, &mut Storage::<2, 3, 4>::new())), Ok(()));
    let with = |at: usize, value: u8| {
        let mut file = file.clone();
        file.as_mut_slice()[at] = value;
        reseal(file.as_mut_slice());
        parse(Model::parse(file.as_slice(), &mut Storage::<2, 3, 4>::new()))
    };
    assert_eq!(with(54, 9), capacity(Part::Dims, 9, 8));
    assert_eq!(with(55, 17), capacity(Part::Interface, 17, 16));
    assert_eq!(with(56, 17), capacity(Part::Interface, 17, 16));
}

#[test]
fn counts_that_do_not_fit_the_program() {
    let mut file = chain_file();
    let end = word(&file, 16) + word(&file, 20);
    // One node less: bytes are left over, and decoding stops where they begin.
    file[48] = 1;
    reseal(&mut file);
    let Err(ParseError::Decode { offset, part: Part::Nodes }) = parse(&file) else {
        panic!("{:?}", parse(&file))
    };
    assert!(offset > HEADER_LEN as u32 && offset < end);
    // One node more: the program ends first.
    file[48] = 3;
    reseal(&mut file);
    assert_eq!(parse(&file), Err(ParseError::Decode { offset: end, part: Part::Nodes }));
    // Bytes that are no tensor: a type that does not exist.
    let mut file = chain_file();
    file[HEADER_LEN] = 9;
    reseal(&mut file);
    assert_eq!(parse(&file), Err(ParseError::Decode { offset: 64, part: Part::Tensors }));
    // A name that is longer than the metadata.
    let mut file = chain_file();
    let at = word(&file, 24) as usize;
    file[at] = 0x7f;
    reseal(&mut file);
    assert_eq!(parse(&file), Err(ParseError::Decode { offset: at as u32, part: Part::Metadata }));
}
