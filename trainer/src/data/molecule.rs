//! Molecules as graphs: SMILES, read by `purr`, to atoms and bonds with the features that need no chemistry toolkit.

use super::graphs::GraphSample;
use purr::feature::{AtomKind, BondKind};
use purr::graph::{Atom, Builder};
use purr::read::{Error as Unread, read};
use std::collections::VecDeque;

/// Elements that have a feature of their own; another is one more feature.
const ELEMENTS: [&str; 9] = ["C", "N", "O", "F", "P", "S", "Cl", "Br", "I"];

/// Features of an atom: element (10, one-hot); neighbours 1 to 4 (4) and hydrogens 0 to 3 (4), one-hot, the last for more;
/// positive charge, negative charge, aromatic, in a multiple bond without being aromatic; in a ring, in one of three or
/// four, five, six bonds, of three or more ring bonds.
pub const ATOM_FEATURES: usize = 27;

/// Features of a bond: single, double, triple, aromatic; in a ring; conjugated.
pub const BOND_FEATURES: usize = 6;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Single,
    Double,
    Triple,
    Aromatic,
}

#[derive(Clone, Debug)]
struct Bond {
    ends: [usize; 2],
    order: Order,
    /// Bonds of the smallest ring that holds it; 0 where there is none.
    ring: usize,
}

/// The atoms of a molecule, hydrogens left out, and each bond in both directions.
///
/// # Errors
/// What is wrong with the text.
pub fn graph(smiles: &str) -> Result<GraphSample, String> {
    let atoms = atoms(smiles)?;
    let mut charges: Vec<i8> = atoms.iter().map(|atom| charge(&atom.kind)).collect();
    let bonds = bonds(&atoms, &mut charges)?;
    let mut graph = GraphSample { count: atoms.len(), ..GraphSample::default() };
    let multiple = |i: usize| {
        let many = |b: &Bond| matches!(b.order, Order::Double | Order::Triple);
        atoms[i].is_aromatic() || bonds.iter().any(|b| b.ends.contains(&i) && many(b))
    };
    for (i, atom) in atoms.iter().enumerate() {
        let rings: Vec<usize> =
            bonds.iter().filter(|b| b.ring > 0 && b.ends.contains(&i)).map(|b| b.ring).collect();
        let smallest = rings.iter().copied().min().unwrap_or(0);
        let element = element(&atom.kind);
        let place = ELEMENTS.iter().position(|e| *e == element).unwrap_or(ELEMENTS.len());
        let (neighbours, hydrogens) =
            (atom.bonds.len().min(4), usize::from(atom.suppressed_hydrogens()).min(3));
        let start = graph.nodes.len();
        graph.nodes.extend((0..=ELEMENTS.len()).map(|e| flag(e == place)));
        graph.nodes.extend((1..=4).map(|n| flag(n == neighbours)));
        graph.nodes.extend((0..=3).map(|n| flag(n == hydrogens)));
        graph.nodes.extend([charges[i] > 0, charges[i] < 0, atom.is_aromatic()].map(flag));
        graph.nodes.push(flag(multiple(i) && !atom.is_aromatic()));
        graph.nodes.extend([smallest > 0, matches!(smallest, 3 | 4), smallest == 5, smallest == 6].map(flag));
        graph.nodes.push(flag(rings.len() >= 3));
        debug_assert_eq!(graph.nodes.len() - start, ATOM_FEATURES);
    }
    for bond in &bonds {
        let [a, b] = bond.ends;
        let conjugated = bond.order == Order::Aromatic || (multiple(a) && multiple(b));
        let orders = [Order::Single, Order::Double, Order::Triple, Order::Aromatic];
        let features: Vec<f32> = orders
            .map(|o| flag(o == bond.order))
            .into_iter()
            .chain([flag(bond.ring > 0), flag(conjugated)])
            .collect();
        for (from, to) in [(a, b), (b, a)] {
            graph.from.push(from as u32);
            graph.to.push(to as u32);
            graph.edges.extend(&features);
        }
    }
    Ok(graph)
}

fn flag(on: bool) -> f32 {
    f32::from(u8::from(on))
}

fn atoms(smiles: &str) -> Result<Vec<Atom>, String> {
    // The reader has no answer to other configurations than those of a tetrahedron beside a hydrogen.
    let mut after = smiles.split('@').skip(1);
    if after.any(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase() && c != 'H')) {
        return Err(format!("`{smiles}`: only the configurations @ and @@ are known"));
    }
    let mut builder = Builder::new();
    read(smiles, &mut builder, None).map_err(|error| match error {
        Unread::EndOfLine => format!("`{smiles}` ends too early"),
        Unread::Character(at) => format!("`{smiles}`: character {} is not expected", at + 1),
    })?;
    builder.build().map_err(|_| format!("`{smiles}`: a ring is not closed, or by another bond"))
}

fn charge(kind: &AtomKind) -> i8 {
    match kind {
        AtomKind::Bracket { charge: Some(charge), .. } => charge.into(),
        _ => 0,
    }
}

fn element(kind: &AtomKind) -> String {
    let text = match kind {
        AtomKind::Star => "*".to_string(),
        AtomKind::Aliphatic(a) => a.to_string(),
        AtomKind::Aromatic(a) => a.to_string(),
        AtomKind::Bracket { symbol, .. } => symbol.to_string(),
    };
    let mut letters = text.chars();
    letters.next().map_or(text.clone(), |first| first.to_ascii_uppercase().to_string() + letters.as_str())
}

/// Each bond once. Opposite charges at the ends of a bond are written as one order more, so that both ways of writing a
/// nitro group are one.
fn bonds(atoms: &[Atom], charges: &mut [i8]) -> Result<Vec<Bond>, String> {
    let mut bonds = Vec::new();
    for (a, atom) in atoms.iter().enumerate() {
        for bond in atom.bonds.iter().filter(|bond| bond.tid > a) {
            let order = match bond.kind {
                BondKind::Aromatic => Order::Aromatic,
                BondKind::Elided if atom.is_aromatic() && atoms[bond.tid].is_aromatic() => Order::Aromatic,
                BondKind::Elided | BondKind::Single | BondKind::Up | BondKind::Down => Order::Single,
                BondKind::Double => Order::Double,
                BondKind::Triple => Order::Triple,
                BondKind::Quadruple => return Err("a quadruple bond has no feature".into()),
            };
            bonds.push(Bond { ends: [a, bond.tid], order, ring: 0 });
        }
    }
    for bond in &mut bonds {
        let [a, b] = bond.ends;
        if charges[a] * charges[b] == -1 {
            let more = match bond.order {
                Order::Single => Order::Double,
                Order::Double => Order::Triple,
                Order::Triple | Order::Aromatic => continue,
            };
            (charges[a], charges[b], bond.order) = (0, 0, more);
        }
    }
    let rings: Vec<usize> = (0..bonds.len()).map(|i| ring(&bonds, i, atoms.len())).collect();
    for (bond, ring) in bonds.iter_mut().zip(rings) {
        bond.ring = ring;
        // Two aromatic rings are joined by a single bond.
        if ring == 0 && bond.order == Order::Aromatic {
            bond.order = Order::Single;
        }
    }
    Ok(bonds)
}

/// Bonds of the smallest ring through bond `of`: the shortest way between its ends without it, and itself.
fn ring(bonds: &[Bond], of: usize, atoms: usize) -> usize {
    let [start, end] = bonds[of].ends;
    let mut steps = vec![usize::MAX; atoms];
    let mut queue = VecDeque::from([start]);
    steps[start] = 0;
    while let Some(at) = queue.pop_front() {
        if at == end {
            return steps[at] + 1;
        }
        for (_, bond) in bonds.iter().enumerate().filter(|(i, b)| *i != of && b.ends.contains(&at)) {
            let other = bond.ends[usize::from(bond.ends[0] == at)];
            if steps[other] == usize::MAX {
                steps[other] = steps[at] + 1;
                queue.push_back(other);
            }
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Places of the features that are 1.
    fn on(row: &[f32]) -> Vec<usize> {
        (0..row.len()).filter(|&i| row[i] == 1.0).collect()
    }

    fn atom(graph: &GraphSample, i: usize) -> Vec<usize> {
        on(&graph.nodes[i * ATOM_FEATURES..][..ATOM_FEATURES])
    }

    fn bond(graph: &GraphSample, i: usize) -> Vec<usize> {
        on(&graph.edges[2 * i * BOND_FEATURES..][..BOND_FEATURES])
    }

    #[test]
    fn ethanol_has_its_hydrogens() {
        let g = graph("CCO").unwrap();
        assert_eq!((g.count, &*g.from, &*g.to), (3, &[0, 1, 1, 2][..], &[1, 0, 2, 1][..]));
        // Carbon, one neighbour, three hydrogens; carbon, two, two; oxygen, one, one.
        assert_eq!([atom(&g, 0), atom(&g, 1), atom(&g, 2)], [[0, 10, 17], [0, 11, 16], [2, 10, 15]]);
        assert_eq!(bond(&g, 0), [0]);
    }

    #[test]
    fn rings_aromatic_and_not_are_told_apart() {
        let g = graph("c1ccccc1C2CC2").unwrap();
        // Aromatic carbon, two neighbours, one hydrogen, in a ring of six.
        assert_eq!(atom(&g, 1), [0, 11, 15, 20, 22, 25]);
        assert_eq!(atom(&g, 7), [0, 11, 16, 22, 23]);
        let bonds: Vec<_> = (0..g.from.len() / 2).map(|i| bond(&g, i)).collect();
        assert_eq!(bonds.iter().filter(|b| **b == [3, 4, 5]).count(), 6);
        assert_eq!(bonds.iter().filter(|b| **b == [0, 4]).count(), 3);
        assert_eq!(bonds.iter().filter(|b| **b == [0]).count(), 1);
        let naphthalene = graph("c1ccc2ccccc2c1").unwrap();
        assert_eq!((0..10).filter(|&i| atom(&naphthalene, i).contains(&26)).count(), 2);
        let biphenyl = graph("c1ccccc1c2ccccc2").unwrap();
        let single = (0..biphenyl.from.len() / 2).filter(|&i| bond(&biphenyl, i) == [0, 5]).count();
        assert_eq!(single, 1);
    }

    #[test]
    fn charges_brackets_and_both_nitro_groups_are_read() {
        let (a, b) = (graph("C[N+](=O)[O-]").unwrap(), graph("CN(=O)=O").unwrap());
        assert_eq!(a, b);
        let salt = graph("[Na+].[Cl-]").unwrap();
        assert_eq!((salt.from.len(), atom(&salt, 0), atom(&salt, 1)), (0, vec![9, 14, 18], vec![6, 14, 19]));
        let pyrrole = graph("c1cc[nH]c1").unwrap();
        assert_eq!(atom(&pyrrole, 3), [1, 11, 15, 20, 22, 24]);
        assert_eq!(graph("C[C@H](N)O").unwrap().count, 4);
    }

    #[test]
    fn what_is_no_molecule_is_refused() {
        for text in ["C(", "C1CC", "XC", "C=", "[C@SP1H](F)(Cl)Br"] {
            let error = graph(text).unwrap_err();
            assert!(error.contains(&format!("`{text}`")), "{error}");
        }
    }
}
