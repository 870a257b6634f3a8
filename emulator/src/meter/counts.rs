//! What the plugin `tests/cyclemeter` writes; its documentation describes the lines.

use std::collections::BTreeMap;
use std::sync::Arc;

/// An instruction of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) address: u64,
    /// Bytes: 2 or 4.
    pub(crate) size: u8,
    /// 16 bits of Thumb; 32 bits of Thumb with the first halfword above; 32 bits of AArch64.
    pub(crate) code: u32,
}

/// A straight run of instructions; a marker is one without instructions.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) address: u64,
    pub(crate) words: Vec<Word>,
}

impl Block {
    /// First address after the block.
    pub(crate) fn end(&self) -> u64 {
        self.words.last().map_or(self.address, |word| word.address + u64::from(word.size))
    }
}

/// How often a block was entered from the end of another, or after a marker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Edge {
    pub(crate) from: Option<Arc<Block>>,
    pub(crate) to: Arc<Block>,
    pub(crate) count: u64,
}

/// What was executed between two markers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Region {
    /// First address of the program's code, 0 in system mode.
    pub(crate) start_code: u64,
    /// Instructions, the markers not among them.
    pub(crate) instructions: u64,
    /// By node, `None` for what is outside of nodes.
    pub(crate) buckets: BTreeMap<Option<usize>, Vec<Edge>>,
}

/// Reads the file; the error says which line is wrong.
pub(crate) fn parse(text: &str) -> Result<Vec<Region>, String> {
    let mut lines = text.lines().enumerate();
    let target = match lines.next() {
        Some((_, line)) => line.strip_prefix("dunlin-cyclemeter 1 "),
        None => None,
    };
    let target = target.ok_or("not a file of this version of the plugin")?;
    let mut reader = Reader { thumb: target != "aarch64", ..Reader::default() };
    for (number, line) in lines {
        reader.line(line).map_err(|reason| format!("line {}: {reason}: {line}", number + 1))?;
    }
    match reader.open {
        Some(_) => Err("the last region has no end".to_owned()),
        None => Ok(reader.regions),
    }
}

#[derive(Default)]
struct Reader {
    thumb: bool,
    blocks: BTreeMap<u32, Arc<Block>>,
    regions: Vec<Region>,
    open: Option<Region>,
    bucket: Option<usize>,
}

fn number<T: std::str::FromStr>(word: &str) -> Result<T, String> {
    word.parse().map_err(|_| format!("{word} is no number"))
}

fn hexadecimal(word: &str) -> Result<u64, String> {
    u64::from_str_radix(word, 16).map_err(|_| format!("{word} is not hexadecimal"))
}

impl Reader {
    fn line(&mut self, line: &str) -> Result<(), String> {
        let words: Vec<&str> = line.split(' ').collect();
        match (words.as_slice(), &mut self.open) {
            (["begin", region, start], None) if number::<usize>(region)? == self.regions.len() => {
                let start_code = hexadecimal(start)?;
                self.open = Some(Region { start_code, instructions: 0, buckets: BTreeMap::new() });
            }
            (["bucket", node], Some(_)) => {
                self.bucket = if *node == "-" { None } else { Some(number(node)?) };
            }
            (["block", id, address, bytes], Some(_)) => {
                let block = self.block(hexadecimal(address)?, bytes)?;
                if self.blocks.insert(number(id)?, Arc::new(block)).is_some() {
                    return Err("the block was there before".to_owned());
                }
            }
            (["edge", from, to, count], Some(region)) => {
                let find =
                    |id: &str| self.blocks.get(&number(id)?).cloned().ok_or_else(|| format!("no block {id}"));
                let from = if *from == "-" { None } else { Some(find(from)?) };
                let edge = Edge { from, to: find(to)?, count: number(count)? };
                region.instructions += edge.count * edge.to.words.len() as u64;
                region.buckets.entry(self.bucket).or_default().push(edge);
            }
            (["end", _, instructions], Some(region))
                if number::<u64>(instructions)? == region.instructions =>
            {
                self.regions.extend(self.open.take());
            }
            (["overlap"], _) => {
                return Err("another thread began a region meanwhile: run one at a time".to_owned());
            }
            _ => return Err("unexpected".to_owned()),
        }
        Ok(())
    }

    fn block(&self, mut address: u64, bytes: &str) -> Result<Block, String> {
        let mut block = Block { address, words: Vec::new() };
        for word in bytes.split(',').filter(|word| *word != "-") {
            let value = hexadecimal(word)? as u32;
            // The bytes are in memory order; halfwords of Thumb are little-endian, the first above.
            let (size, code) = match (word.len(), self.thumb) {
                (4, true) => (2, u32::from((value as u16).swap_bytes())),
                (8, true) => (4, value.swap_bytes().rotate_left(16)),
                (8, false) => (4, value.swap_bytes()),
                _ => return Err("an instruction of a wrong length".to_owned()),
            };
            block.words.push(Word { address, size, code });
            address += u64::from(size);
        }
        Ok(block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "dunlin-cyclemeter 1 arm
begin 0 0
bucket -
block 3 100 0138,fdd1
block 4 104 -
edge - 3 1
edge 3 3 9
edge 3 4 1
bucket 0
block 5 104 4ff00300
edge - 5 2
end 0 22
";

    #[test]
    fn a_file_is_read_back() {
        let regions = parse(FILE).unwrap();
        let [region] = regions.as_slice() else { panic!("{regions:?}") };
        assert_eq!(region.instructions, 22);
        let outside = &region.buckets[&None];
        assert_eq!(outside.len(), 3);
        assert_eq!((outside[0].from.is_none(), outside[1].count), (true, 9));
        let block = &outside[0].to;
        assert_eq!(block.end(), 0x104);
        let words: Vec<_> = block.words.iter().map(|w| (w.address, w.size, w.code)).collect();
        assert_eq!(words, [(0x100, 2, 0x3801), (0x102, 2, 0xd1fd)]);
        assert_eq!(region.buckets[&Some(0)][0].to.words[0].code, 0xf04f_0003);
    }

    #[test]
    fn a_wrong_file_is_refused_by_line() {
        for (good, bad, reason) in [
            ("dunlin-cyclemeter 1", "dunlin-cyclemeter 2", "not a file of this version"),
            ("end 0 22", "end 0 23", "line 12: unexpected"),
            ("end 0 22\n", "", "no end"),
            ("edge 3 4 1", "edge 3 9 1", "line 8: no block 9"),
            ("end 0 22", "overlap", "one at a time"),
            ("begin 0", "begin 1", "line 2: unexpected"),
            ("0138,fdd1", "0138,fd", "line 4: an instruction of a wrong length"),
        ] {
            let error = parse(&FILE.replace(good, bad)).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
    }
}
