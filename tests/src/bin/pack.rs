//! `pack TARGET IN OUT`: the constants of a `.dun` file in the order of one core's kernels, without planning its arena anew.

use dunlin::Target;
use dunlin_tests::packed::packed;

fn main() -> Result<(), String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [target, from, to] = arguments.as_slice() else { return Err("pack TARGET IN OUT".into()) };
    let target = Target::ALL.into_iter().find(|t| t.name() == target).ok_or("no such target")?;
    let bytes = std::fs::read(from).map_err(|e| format!("{from}: {e}"))?;
    let file = packed(&bytes, target).map_err(|e| format!("{from}: {e}"))?;
    std::fs::write(to, file.as_slice()).map_err(|e| format!("{to}: {e}"))
}
