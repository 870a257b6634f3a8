//! Data sets: what is read, what is refused, what is generated, what augmentation does.

use dunlin_trainer::data::augment::{self, Augment};
use dunlin_trainer::data::{Examples, folders, idx, street};
use dunlin_trainer::eval::metrics::{Confusion, argmax};
use dunlin_trainer::graph::InputScaling;
use rand::SeedableRng;
use rand_pcg::Pcg64;
use std::io::Write;
use std::path::Path;

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
    assert_eq!(argmax(&[1.0, 3.0, 3.0]), 1);
}
