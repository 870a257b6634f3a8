//! `dunlin inspect`: what is in a `.dun` file.

use super::dun::DunFile;
use super::text::{number, table};
use super::{print_json, write_picture};
use dunlin_trainer::report::arena;
use dunlin_trainer::report::facts::Facts;
use miette::Result;
use std::path::PathBuf;

/// Show nodes, sizes, memory and metadata of a .dun file.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  dunlin inspect model.dun
  dunlin inspect model.dun --json | jq .totals.arena_bytes
  dunlin inspect model.dun --plot arena.png")]
pub(super) struct Args {
    /// The model.
    model: PathBuf,
    /// Print JSON instead of tables.
    #[arg(long)]
    json: bool,
    /// Draw the arena over time into this picture.
    #[arg(long, value_name = "PNG")]
    plot: Option<PathBuf>,
}

/// Cells of the arena in the text picture.
const CELLS: usize = 64;

pub(super) fn main(args: &Args) -> Result<()> {
    let facts = DunFile::read(&args.model)?.facts()?;
    if let Some(path) = &args.plot {
        write_picture(path, &arena::picture(&facts))?;
    }
    if args.json {
        return print_json(&facts);
    }
    print_head(&facts);
    println!();
    println!("{}", nodes(&facts));
    println!();
    print_totals(&facts);
    println!();
    print!("{}", arena::text(&facts, CELLS));
    if let Some(path) = &args.plot {
        println!("\n{} shows the arena over time", path.display());
    }
    Ok(())
}

fn shape(s: [u32; 4]) -> String {
    let [n, h, w, c] = s;
    if n == 1 { format!("{h}x{w}x{c}") } else { format!("{n}x{h}x{w}x{c}") }
}

fn print_head(f: &Facts) {
    let line = |key: &str, value: &str| {
        if !value.is_empty() {
            println!("{key:<12} {value}");
        }
    };
    line("name", &f.name);
    line("recipe", &f.recipe.replace('\n', "\n             "));
    line("data licence", &f.data_licence);
    line("classes", &f.labels.join(", "));
    for (what, list) in [("input", &f.inputs), ("output", &f.outputs)] {
        for &id in list {
            let t = &f.tensors[usize::from(id)];
            let text = format!(
                "{} {} (n,h,w,c = {:?}), {} bytes, scale {}, zero point {}",
                t.dtype,
                shape(t.shape),
                t.shape,
                number(u64::from(t.bytes)),
                t.scale,
                t.zero_point
            );
            line(what, &text);
        }
    }
    let channels = f.inputs.first().map_or(0, |&id| f.tensors[usize::from(id)].shape[3].min(4) as usize);
    let s = &f.scaling;
    line(
        "scaling",
        &format!("(raw * {} - {:?}) / {:?} per channel", s.factor, &s.mean[..channels], &s.std[..channels]),
    );
}

fn nodes(f: &Facts) -> String {
    let head = ["node", "operator", "input", "output", "window", "MACs", "weights B", "scratch B"];
    let ids = |list: &[u16]| list.iter().map(u16::to_string).collect::<Vec<_>>().join(",");
    table(
        &head,
        &[0, 5, 6, 7],
        f.nodes.iter().map(|n| {
            vec![
                n.index.to_string(),
                format!("{}{}", n.op, if n.fused_argmax { " + argmax" } else { "" }),
                format!("{} {}", ids(&n.inputs), shape(n.input_shape)),
                format!("{} {}", ids(&n.outputs), shape(n.output_shape)),
                n.window.as_ref().map(ToString::to_string).unwrap_or_default(),
                if n.macs > 0 { number(n.macs) } else { String::new() },
                if n.weight_bytes > 0 { number(n.weight_bytes) } else { String::new() },
                if n.scratch_bytes > 0 { number(u64::from(n.scratch_bytes)) } else { String::new() },
            ]
        }),
    )
}

fn print_totals(f: &Facts) {
    let t = &f.totals;
    let sizes = [
        ("file", u64::from(t.file_bytes)),
        ("  weights", t.weight_bytes),
        ("  all constants", u64::from(t.data_bytes)),
        ("  node table", u64::from(t.program_bytes)),
        ("  metadata", u64::from(t.metadata_bytes)),
        ("arena", t.arena_bytes as u64),
        ("  largest live set", t.largest_live_bytes),
        ("state", t.state_bytes as u64),
    ];
    for (what, bytes) in sizes {
        println!("{what:<20} {:>12} bytes", number(bytes));
    }
    println!("{:<20} {:>12} MACs", "work", number(t.macs));
    println!("the live set is largest at node {}", t.largest_live_node);
    println!("tables: Storage::<{}, {}, {}>", f.storage.nodes, f.storage.tensors, f.storage.ids);
}
