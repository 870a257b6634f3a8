//! Data sets: what is read, what is refused, what is generated, what augmentation does.

use dunlin::format::DType;
use dunlin::quant::QParams;
use dunlin::shape::Shape;
use dunlin_trainer::data::augment::{self, Augment};
use dunlin_trainer::data::samples::{Files, Spec, spread};
use dunlin_trainer::data::{Examples, cifar, folders, idx, labelled, street};
use dunlin_trainer::eval::metrics::Confusion;
use dunlin_trainer::graph::InputScaling;
use dunlin_trainer::ops::largest;
use rand::SeedableRng;
use rand_pcg::Pcg64;
use std::io::Write;
use std::path::{Path, PathBuf};

fn idx_bytes(dims: &[u32], data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, dims.len() as u8];
    bytes.extend(dims.iter().flat_map(|d| d.to_be_bytes()));
    bytes.extend(data);
    bytes
}

fn write_digits(dir: &Path) {
    let gz = |name: &str, bytes: &[u8]| {
        let file = std::fs::File::create(dir.join(name)).unwrap();
        let mut encoder = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap();
    };
    gz("train-images-idx3-ubyte.gz", &idx_bytes(&[3, 2, 2], &(0..12).collect::<Vec<u8>>()));
    gz("train-labels-idx1-ubyte.gz", &idx_bytes(&[3], &[7, 0, 9]));
    std::fs::write(dir.join("t10k-images-idx3-ubyte"), idx_bytes(&[1, 2, 2], &[9; 4])).unwrap();
    std::fs::write(dir.join("t10k-labels-idx1-ubyte"), idx_bytes(&[1], &[1])).unwrap();
}

#[test]
fn idx_files_are_read_plain_and_compressed() {
    let dir = tempfile::tempdir().unwrap();
    write_digits(dir.path());
    let split = idx::digits(dir.path()).unwrap();
    assert_eq!((split.train.len(), split.val.len()), (3, 1));
    assert_eq!(&*split.train.images[1], [4, 5, 6, 7]);
    assert_eq!(&*split.train.labels[2], [9]);
    assert_eq!(split.train.class_counts(), [1, 0, 0, 0, 0, 0, 0, 1, 0, 1]);
}

#[test]
fn damaged_idx_files_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let nowhere = idx::digits(&dir.path().join("nowhere")).unwrap_err().to_string();
    assert!(nowhere.contains("nowhere") && nowhere.contains("does not exist"), "{nowhere}");
    write_digits(dir.path());
    let labels = dir.path().join("t10k-labels-idx1-ubyte");
    for (bytes, reason) in [
        (idx_bytes(&[2], &[1, 1]), "labels for 1 images"),
        (idx_bytes(&[1], &[10]), "above 9"),
        (idx_bytes(&[1], &[]), "truncated"),
        (idx_bytes(&[u32::MAX, u32::MAX, u32::MAX], &[1]), "truncated"),
        (vec![0, 0, 13, 1, 0, 0, 0, 1], "element type 0x0d"),
        (vec![0, 0, 8, 3, 0], "truncated header"),
        (b"PNG".to_vec(), "not an IDX file"),
    ] {
        std::fs::write(&labels, bytes).unwrap();
        let error = idx::digits(dir.path()).unwrap_err().to_string();
        assert!(error.contains("t10k-labels-idx1-ubyte") && error.contains(reason), "{error}");
    }
    std::fs::remove_file(&labels).unwrap();
    let error = idx::digits(dir.path()).unwrap_err().to_string();
    assert!(error.contains("t10k*-labels-idx1-ubyte"), "{error}");
}

fn write_folders(dir: &Path) {
    std::fs::write(dir.join("classes.txt"), "0 sky\n1 road\n2 void (ignore)\n").unwrap();
    for part in ["train", "val"] {
        std::fs::create_dir_all(dir.join(part)).unwrap();
        std::fs::create_dir_all(dir.join(format!("{part}annot"))).unwrap();
        let picture = image::RgbImage::from_fn(4, 2, |x, y| image::Rgb([x as u8, y as u8, 7]));
        picture.save(dir.join(part).join("a.png")).unwrap();
        let mask = image::GrayImage::from_fn(4, 2, |x, _| image::Luma([x as u8 % 3]));
        mask.save(dir.join(format!("{part}annot/a.png"))).unwrap();
    }
}

#[test]
fn folders_with_masks_are_read_at_any_size() {
    let dir = tempfile::tempdir().unwrap();
    write_folders(dir.path());
    let split = folders::read(dir.path(), 2, 4).unwrap();
    assert_eq!(&split.train.images[0][..6], [0, 0, 7, 1, 0, 7]);
    assert_eq!(&*split.val.labels[0], [0, 1, 2, 0, 0, 1, 2, 0]);
    assert_eq!(split.train.classes, ["sky", "road"]);
    assert_eq!((split.train.ignore, split.train.class_counts()), (Some(2), vec![4, 2]));
    let larger = folders::read(dir.path(), 4, 8).unwrap();
    assert_eq!(&larger.train.labels[0][..8], [0, 0, 1, 1, 2, 2, 0, 0]);
}

#[test]
fn damaged_folders_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let refused = |reason: &str| {
        let error = folders::read(root, 2, 4).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    };
    refused("classes.txt");
    write_folders(root);
    std::fs::write(root.join("classes.txt"), "0 sky\n2 road\n").unwrap();
    refused("line 2");
    std::fs::write(root.join("classes.txt"), "0 sky\n1 road\n").unwrap();
    refused("label 2 is not in classes.txt");
    write_folders(root);
    image::GrayImage::new(5, 2).save(root.join("valannot/a.png")).unwrap();
    refused("its picture has");
    std::fs::write(root.join("valannot/a.png"), b"nothing").unwrap();
    refused("valannot/a.png: not a readable picture");
    image::RgbImage::new(4, 2).save(root.join("valannot/a.png")).unwrap();
    refused("a mask has 8-bit grey");
    std::fs::remove_file(root.join("valannot/a.png")).unwrap();
    refused("valannot/a.png does not exist");
    std::fs::remove_file(root.join("val/a.png")).unwrap();
    refused("no png");
}

#[test]
fn generated_scenes_repeat_and_have_every_class() {
    let split = street::generate(1, 48, 64, 60, 20);
    let again = street::generate(1, 48, 64, 60, 20);
    assert_eq!(split.train.images, again.train.images);
    assert_eq!(split.val.labels, again.val.labels);
    assert_ne!(split.train.images, street::generate(2, 48, 64, 60, 20).train.images);
    assert!(!split.train.images.contains(&split.val.images[0]));
    let counts = split.train.class_counts();
    assert!(counts.iter().all(|c| *c > 100), "{counts:?}");
    assert!(counts[0] + counts[3] > counts.iter().sum::<u64>() / 4, "sky and road are large: {counts:?}");
    for labels in &split.train.labels {
        assert_eq!(labels.len(), 48 * 64);
        let top = labels[..64].iter().filter(|l| **l == 0).count();
        let bottom = labels[47 * 64..].iter().filter(|l| **l == 0).count();
        assert!(bottom == 0 && top > 0, "the sky is above");
    }
}

#[test]
fn masks_of_generated_scenes_are_exact() {
    // Without noise and light a class keeps to its colours; here: the mean colour of sky is bluer than that of
    // the road in every scene, which no misplaced mask would give.
    let split = street::generate(5, 48, 64, 40, 1);
    for (image, labels) in split.train.images.iter().zip(&split.train.labels) {
        let mean = |class: u8| {
            let of: Vec<f64> = labels
                .iter()
                .enumerate()
                .filter(|(_, l)| **l == class)
                .map(|(i, _)| f64::from(image[3 * i + 2]) - 0.5 * f64::from(image[3 * i]))
                .collect();
            of.iter().sum::<f64>() / of.len() as f64
        };
        assert!(mean(0) > mean(3) + 20.0, "sky {} road {}", mean(0), mean(3));
    }
}

fn one_example() -> Examples {
    let mut set = street::generate(9, 16, 24, 1, 1).train;
    set.ignore = Some(11);
    set
}

fn augmented(set: &Examples, a: &Augment, seed: u64) -> (Vec<f32>, Vec<u8>) {
    let mut rng = Pcg64::seed_from_u64(seed);
    let (mut input, mut labels) = (Vec::new(), Vec::new());
    let unit = InputScaling::unit(3);
    augment::augmented(set, 0, a, &unit, &mut rng, &mut input, &mut labels);
    (input, labels)
}

#[test]
fn augmentation_without_ranges_changes_nothing() {
    let set = one_example();
    let (input, labels) = augmented(&set, &Augment::default(), 1);
    let (mut plain, mut plain_labels) = (Vec::new(), Vec::new());
    augment::plain(&set, 0, &InputScaling::unit(3), &mut plain, &mut plain_labels);
    assert_eq!(labels, plain_labels);
    for (a, b) in input.iter().zip(&plain) {
        assert!((a - b).abs() < 1e-4, "one level is 1/255; this is rounding only");
    }
}

#[test]
fn flips_mirror_picture_and_labels_alike() {
    let set = one_example();
    let flip = Augment { flip: true, ..Augment::default() };
    let (_, plain) = augmented(&set, &Augment::default(), 1);
    let mirrored: Vec<u8> = plain.chunks(24).flat_map(|row| row.iter().rev().copied()).collect();
    let seen: Vec<Vec<u8>> = (0..20).map(|seed| augmented(&set, &flip, seed).1).collect();
    assert!(seen.iter().all(|l| *l == plain || *l == mirrored));
    assert!(seen.contains(&plain) && seen.contains(&mirrored));
}

#[test]
fn what_lies_outside_is_ignored_and_the_rest_keeps_its_label() {
    let set = one_example();
    let shrink = Augment { scale: [0.5, 0.5], ..Augment::default() };
    let (input, labels) = augmented(&set, &shrink, 3);
    let outside = labels.iter().filter(|l| **l == 11).count();
    assert!((250..320).contains(&outside), "three quarters of 384 pixels: {outside}");
    for (pixel, label) in input.chunks(3).zip(&labels) {
        assert_eq!(*label == 11, pixel == [0.0; 3]);
    }
    let grow = Augment { scale: [2.0, 2.0], ..Augment::default() };
    assert!(!augmented(&set, &grow, 3).1.contains(&11));
}

#[test]
fn scaling_gives_zero_mean_and_unit_deviation() {
    let set = street::generate(1, 16, 16, 8, 1).train;
    let scaling = set.scaling();
    for c in 0..3 {
        let values: Vec<f64> = set
            .images
            .iter()
            .flat_map(|i| i.iter().skip(c).step_by(3))
            .map(|&v| f64::from(scaling.apply(f32::from(v), c)))
            .collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let var = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len() as f64;
        assert!(mean.abs() < 1e-4 && (var - 1.0).abs() < 1e-3, "f32 sums: {mean} {var}");
    }
}

#[test]
fn metrics_follow_their_definition() {
    let mut c = Confusion::new(3, Some(9));
    c.add_all(&[0, 0, 0, 1, 1, 9], &[0, 0, 1, 1, 0, 2]);
    assert_eq!(c.total(), 5);
    assert_eq!(c.accuracy(), 0.6);
    assert_eq!(c.iou(), [Some(0.5), Some(1.0 / 3.0), None]);
    assert!((c.mean_iou() - 5.0 / 12.0).abs() < 1e-12);
    let mut other = Confusion::new(3, Some(9));
    other.add(2, 200);
    c.merge(&other);
    assert_eq!(c.iou()[2], Some(0.0), "a label that is no class is wrong");
    assert_eq!(largest(&[1.0, 3.0, 3.0]), 1);
}

fn spec(shape: Shape) -> Spec {
    Spec { name: "x".into(), shape, scaling: InputScaling::unit(shape.c as usize), own: None }
}

/// A `.npy` file of version 1, as numpy writes it.
fn npy(descr: &str, fortran: bool, shape: &str, data: &[u8]) -> Vec<u8> {
    let order = if fortran { "True" } else { "False" };
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}");
    while !(header.len() + 11).is_multiple_of(64) {
        header.push(' ');
    }
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.bytes());
    bytes.extend(data);
    bytes
}

fn f32s(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

fn put(dir: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = dir.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, bytes).unwrap();
    path
}

fn all(path: &Path, spec: &Spec) -> Vec<Vec<f32>> {
    let mut files = Files::new(path, spec).unwrap();
    (0..files.len()).map(|i| files.read(i).unwrap().values(spec)).collect()
}

#[test]
fn npy_files_are_nhwc_or_nchw_as_their_shape_says() {
    let dir = tempfile::tempdir().unwrap();
    let spec = spec(Shape::image(2, 2, 3));
    let nhwc: Vec<f32> = (0..12).map(|v| v as f32).collect();
    let nchw = [0.0, 3.0, 6.0, 9.0, 1.0, 4.0, 7.0, 10.0, 2.0, 5.0, 8.0, 11.0];
    for (shape, data) in [
        ("(2, 2, 3)", &nhwc[..]),
        ("(1, 2, 2, 3)", &nhwc),
        ("(1, 12)", &nhwc),
        ("(12,)", &nhwc),
        ("(3, 2, 2)", &nchw),
        ("(1, 3, 2, 2)", &nchw),
    ] {
        let path = put(dir.path(), "a.npy", &npy("<f4", false, shape, &f32s(data)));
        assert_eq!(all(&path, &spec), std::slice::from_ref(&nhwc), "{shape}");
    }
    let two: Vec<f32> = nchw.iter().chain(&nchw).copied().collect();
    let path = put(dir.path(), "a.npy", &npy("<f4", false, "(2, 3, 2, 2)", &f32s(&two)));
    assert_eq!(all(&path, &spec), [nhwc.clone(), nhwc.clone()]);
    let bytes: Vec<u8> = (0..12).collect();
    let path = put(dir.path(), "a.npy", &npy("|u1", false, "(2, 2, 3)", &bytes));
    assert_eq!(all(&path, &spec)[0][5], 5.0 / 255.0, "bytes are pixels");
    let own = Spec { own: Some((DType::I8, QParams { scale: 0.5, zero_point: 1 })), ..spec.clone() };
    let path = put(dir.path(), "a.npy", &npy("|i1", false, "(2, 2, 3)", &bytes));
    assert_eq!(all(&path, &own)[0][5], 2.0, "the model's own type");
    let doubles: Vec<u8> = nhwc.iter().flat_map(|v| f64::from(*v).to_le_bytes()).collect();
    let path = put(dir.path(), "a.npy", &npy("<f8", false, "(2, 2, 3)", &doubles));
    assert_eq!(all(&path, &spec), [nhwc]);
}

#[test]
fn damaged_files_of_numbers_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let spec = spec(Shape::image(2, 2, 3));
    let data = f32s(&[0.0; 12]);
    for (name, bytes, reason) in [
        ("a.npy", npy("<f4", false, "(2, 2, 3)", &data[1..]), "47 bytes of data"),
        ("a.npy", npy("<f4", false, "(4294967295, 4294967295, 9)", &data), "bytes of data"),
        ("a.npy", npy("<f4", true, "(2, 2, 3)", &data), "Fortran"),
        ("a.npy", npy("<c8", false, "(6,)", &data), "<c8"),
        ("a.npy", npy("<f4", false, "(3, 4)", &data), "[3, 4]"),
        ("a.npy", npy("<f4", false, "(2, x)", &data), "(2, x)"),
        ("a.npy", b"\x93NUMPY\x01\x00\xff\x00{".to_vec(), "cut off"),
        ("a.npy", b"NUMPY".to_vec(), "not a .npy file"),
        ("a.csv", b"1,2,3\n".to_vec(), "line 1: 3 numbers, the input `x` has 12"),
        ("a.csv", b"1,2,3,4,5,6,7,8,9,10,11,x\n".to_vec(), "line 1: a cell"),
        ("a.bin", data[1..].to_vec(), "47 bytes"),
        ("a.bin", Vec::new(), "0 bytes"),
        ("a.png", b"no picture".to_vec(), "not a readable picture"),
        ("a.txt", b"nothing".to_vec(), "holds no png"),
    ] {
        let sub = tempfile::tempdir_in(dir.path()).unwrap();
        put(sub.path(), name, &bytes);
        let read = Files::new(sub.path(), &spec).and_then(|mut f| f.read(0));
        let error = read.unwrap_err().to_string();
        assert!(error.contains(reason), "{name}: {error}");
        assert!(error.contains(name) || name == "a.txt", "{error}");
    }
    let error = Files::new(&dir.path().join("nowhere"), &spec).unwrap_err().to_string();
    assert!(error.contains("nowhere does not exist"), "{error}");
}

#[test]
fn tables_and_raw_files_hold_many_samples_in_the_order_of_their_paths() {
    let dir = tempfile::tempdir().unwrap();
    let spec = spec(Shape::vector(2));
    put(dir.path(), "b/rows.csv", b"left,right\n1,2\n 3 , 4.5\n\n");
    put(dir.path(), "a.bin", &f32s(&[5.0, 6.0, 7.0, 8.0]));
    let rows = all(dir.path(), &spec);
    assert_eq!(rows, [vec![5.0, 6.0], vec![7.0, 8.0], vec![1.0, 2.0], vec![3.0, 4.5]]);
    let own = Spec { own: Some((DType::I8, QParams { scale: 2.0, zero_point: -1 })), ..spec };
    let path = put(dir.path(), "own.bin", &[1, 0xFF, 2, 0]);
    assert_eq!(all(&path, &own), [vec![4.0, 0.0], vec![6.0, 2.0]]);
    assert_eq!(spread(10, 4).collect::<Vec<_>>(), [0, 2, 5, 7]);
    assert_eq!(spread(2, 4).collect::<Vec<_>>(), [0, 1]);
}

fn grey(level: u8) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let picture = image::RgbImage::from_pixel(3, 3, image::Rgb([level; 3]));
    picture.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

#[test]
fn class_folders_are_split_and_resized() {
    let dir = tempfile::tempdir().unwrap();
    let spec = spec(Shape::image(4, 2, 3));
    for i in 0..10 {
        put(dir.path(), &format!("dog/{i}.png"), &grey(200 + i));
        put(dir.path(), &format!("cat/{i}.png"), &grey(i));
    }
    let split = labelled::read(dir.path(), &spec).unwrap();
    assert_eq!(split.train.classes, ["cat", "dog"]);
    assert_eq!((split.train.len(), split.val.len()), (16, 4));
    assert_eq!(split.val.class_counts(), [2, 2]);
    assert_eq!(*split.val.images[0], [4; 24], "every fifth is held out");
    assert_eq!(*split.train.labels[15], [1]);

    put(dir.path(), "dog/table.csv", &[b"1,".repeat(23), b"1".to_vec()].concat());
    let error = labelled::read(dir.path(), &spec).unwrap_err().to_string();
    assert!(error.contains("table.csv") && error.contains("side by side"), "{error}");

    let parts = tempfile::tempdir().unwrap();
    for (place, level) in [("train/a", 1), ("train/b", 2), ("val/a", 3), ("val/b", 4)] {
        put(parts.path(), &format!("{place}/x.png"), &grey(level));
    }
    let split = labelled::read(parts.path(), &spec).unwrap();
    assert_eq!((split.train.len(), split.val.len()), (2, 2));
    assert_eq!(*split.val.images[1], [4; 24]);
    put(parts.path(), "val/c/x.png", &grey(5));
    let error = labelled::read(parts.path(), &spec).unwrap_err().to_string();
    assert!(error.contains("val") && error.contains("a, b, c"), "{error}");

    let one = tempfile::tempdir().unwrap();
    put(one.path(), "only/x.png", &grey(1));
    let error = labelled::read(one.path(), &spec).unwrap_err().to_string();
    assert!(error.contains("1 folders"), "{error}");
}

#[test]
fn real_examples_are_taken_as_they_stand() {
    let dir = tempfile::tempdir().unwrap();
    let spec = spec(Shape::vector(2));
    put(dir.path(), "a/rows.csv", b"1,2\n3,4\n");
    put(dir.path(), "b/rows.csv", b"5,6\n7,8\n");
    let set = labelled::read(dir.path(), &spec).unwrap().train;
    assert_eq!((set.len(), set.images.len()), (4, 0));
    assert_eq!(set.scaling(), InputScaling::unit(2));
    let (mut input, mut labels) = (Vec::new(), Vec::new());
    let scaling = InputScaling { mean: vec![9.0; 2], std: vec![9.0; 2] };
    let noisy = Augment { noise: 50.0, flip: true, ..Augment::default() };
    let mut rng = Pcg64::seed_from_u64(1);
    augment::augmented(&set, 2, &noisy, &scaling, &mut rng, &mut input, &mut labels);
    assert_eq!((input, labels), (vec![5.0, 6.0], vec![1]));
}

#[test]
fn cifar_strips_hold_a_picture_a_row() {
    let dir = tempfile::tempdir().unwrap();
    for (name, rows) in [("train2", 2u32), ("test1", 1)] {
        let strip = image::RgbImage::from_fn(1024, rows, |x, y| {
            image::Rgb([(x / 32) as u8, (x % 32) as u8, y as u8])
        });
        strip.save(dir.path().join(format!("{name}.png"))).unwrap();
        put(dir.path(), &format!("{name}.labels.u8"), &vec![7; rows as usize]);
    }
    let split = cifar::read(dir.path(), 32, 32).unwrap();
    assert_eq!((split.train.len(), split.val.len()), (2, 1));
    assert_eq!(split.train.images[1][(3 * 32 + 5) * 3..][..3], [3, 5, 1]);
    assert_eq!((&*split.train.labels[0], split.train.classes[7].as_str()), (&[7u8][..], "horse"));
    assert_eq!(cifar::read(dir.path(), 64, 48).unwrap().val.shape, Shape::image(64, 48, 3));
    let other = labelled::read(dir.path(), &spec(Shape::image(16, 16, 3))).unwrap();
    assert_eq!(other.train.shape, Shape::image(16, 16, 3));

    put(dir.path(), "test1.labels.u8", &[10]);
    let error = cifar::read(dir.path(), 32, 32).unwrap_err().to_string();
    assert!(error.contains("test1.labels.u8") && error.contains("above 9"), "{error}");
    put(dir.path(), "test1.labels.u8", &[1, 1]);
    let error = cifar::read(dir.path(), 32, 32).unwrap_err().to_string();
    assert!(error.contains("2 labels for 1 pictures"), "{error}");
}
