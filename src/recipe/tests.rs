//! What is chosen for which column, what comes out for every sort of cell, and that the same row gives the same bits.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::data::{Column, Encode, Impute, MISSING, Values};
use crate::error::{Exit, Failure};

fn number(name: &str, values: impl IntoIterator<Item = f64>) -> Column {
    Column { name: name.into(), values: Values::Number(values.into_iter().collect()) }
}

/// A text column; an empty text is a missing cell.
fn text<'a>(name: &str, cells: impl IntoIterator<Item = &'a str>) -> Column {
    let (mut codes, mut levels) = (Vec::new(), Vec::<String>::new());
    for cell in cells {
        let place = levels.iter().position(|level| level == cell);
        codes.push(match (cell, place) {
            ("", _) => MISSING,
            (_, Some(place)) => place as u32,
            (_, None) => {
                levels.push(cell.to_owned());
                levels.len() as u32 - 1
            }
        });
    }
    Column { name: name.into(), values: Values::Text { codes, levels } }
}

fn fit_with(column: &Column, labels: Option<&[bool]>, wish: ColumnWish) -> Result<ColumnRecipe, Failure> {
    let rows: Vec<usize> = (0..column.values.rows()).collect();
    let wishes = Wishes::from([(column.name.clone(), wish)]);
    let recipe = Recipe::fit(std::slice::from_ref(column), FitRows { rows: &rows, labels, clip: 5.0, wishes: &wishes })?;
    recipe.check().unwrap();
    let text = serde_json::to_string(&recipe).unwrap();
    assert_eq!(serde_json::from_str::<Recipe>(&text).unwrap(), recipe, "survives being written and read");
    Ok(recipe.columns.into_iter().next().unwrap())
}

fn fit(column: &Column) -> ColumnRecipe {
    fit_with(column, None, ColumnWish::default()).unwrap()
}

/// The raw features of a row, before scaling.
fn raw(recipe: &ColumnRecipe, column: &Column, row: usize) -> Vec<f64> {
    let mut out = vec![f64::NAN; recipe.features.len()];
    recipe.encoding.bind(column).unwrap().write(row, &mut out);
    out
}

fn names(recipe: &ColumnRecipe) -> Vec<&str> {
    recipe.features.iter().map(|scale| scale.name.as_str()).collect()
}

fn wish(encode: Encode) -> ColumnWish {
    ColumnWish { encode: Some(encode), ..ColumnWish::default() }
}

#[test]
fn whole_numbers_stay_as_they_are_and_missing_ones_get_the_mean_and_a_mark() {
    let plain = number("age", [1.0, 2.5, 9.0]);
    let recipe = fit(&plain);
    assert_eq!((names(&recipe), raw(&recipe, &plain, 1)), (vec!["age"], vec![2.5]));
    let gaps = number("age", [1.0, f64::NAN, 3.0, 5.0]);
    let recipe = fit(&gaps);
    assert_eq!(names(&recipe), ["age", "age:missing"]);
    assert_eq!((raw(&recipe, &gaps, 1), raw(&recipe, &gaps, 2)), (vec![3.0, 1.0], vec![3.0, 0.0]));
    let median = ColumnWish { impute: Some(Impute::Median), ..ColumnWish::default() };
    assert_eq!(raw(&fit_with(&number("age", [1.0, f64::NAN, 2.0, 60.0]), None, median).unwrap(), &gaps, 1), [2.0, 1.0]);
    assert!(!fit(&number("none", [f64::NAN; 4])).is_kept());
}

#[test]
fn a_lone_negative_number_among_counts_means_missing() {
    let days = number("pdays", (0..100).map(|i| if i < 80 { -1.0 } else { f64::from(i) }));
    let recipe = fit(&days);
    assert_eq!(raw(&recipe, &days, 0), [89.5, 1.0], "the mean of those that are present");
    assert_eq!(raw(&recipe, &days, 99), [99.0, 0.0]);
    assert!(recipe.why.contains("-1 in 80 % of the rows"), "{}", recipe.why);
    // Not where other negative numbers exist, where it is very rare, or where the job says otherwise.
    for column in
        [number("x", (0..100).map(|i| f64::from(i % 4 - 2))), number("x", (0..300).map(|i| if i == 0 { -1.0 } else { f64::from(i) }))]
    {
        assert_eq!(names(&fit(&column)), ["x"]);
    }
    assert_eq!(names(&fit_with(&days, None, wish(Encode::Plain)).unwrap()), ["pdays"]);
}

#[test]
fn far_outliers_call_for_the_logarithm_and_cuts_are_made_where_asked() {
    let spend = number("spend", (0..60_000).map(|i| if i == 7 { 1e6 } else { f64::from(i % 5) }));
    let recipe = fit(&spend);
    assert_eq!(names(&recipe), ["spend:log1p"]);
    assert_eq!(raw(&recipe, &spend, 4), [4f64.ln_1p()]);
    assert_eq!(
        raw(&fit_with(&number("d", [-3.0, 0.0, 8.0]), None, wish(Encode::Log1p)).unwrap(), &number("d", [-3.0]), 0),
        [-(3f64.ln_1p())]
    );
    let cut = ColumnWish { winsorise: Some([0.1, 0.9]), ..ColumnWish::default() };
    let column = number("x", (0..=100).map(f64::from));
    let recipe = fit_with(&column, None, cut).unwrap();
    assert_eq!([0, 50, 100].map(|row| raw(&recipe, &column, row)[0]), [10.0, 50.0, 90.0]);
}

#[test]
fn frequent_levels_get_a_feature_rare_and_unseen_ones_share_one() {
    let cells = (0..1000).map(|i| match i {
        0..600 => "blue",
        600..900 => "red",
        900..980 => "",
        980..985 => "pink",
        _ => "grey",
    });
    let colour = text("colour", cells);
    let recipe = fit(&colour);
    assert_eq!(names(&recipe), ["colour=red", "colour=grey", "colour:rare", "colour:missing"]);
    let new = text("colour", ["blue", "red", "grey", "pink", "mauve", ""]);
    let rows: Vec<Vec<f64>> = (0..6).map(|row| raw(&recipe, &new, row)).collect();
    assert_eq!(rows[0], [0.0; 4], "the reference");
    let place = |row: usize| rows[row].iter().position(|value| *value == 1.0);
    assert_eq!((1..6).map(place).collect::<Vec<_>>(), [Some(0), Some(1), Some(2), Some(2), Some(3)]);
    assert!(!serde_json::to_string(&recipe).unwrap().contains("pink"), "rare levels are never written");
}

#[test]
fn unseen_levels_and_new_gaps_are_counted_where_training_had_none() {
    let trained = [text("colour", (0..40).map(|i| if i % 2 == 0 { "blue" } else { "red" })), number("age", (0..40).map(f64::from))];
    let rows: Vec<usize> = (0..40).collect();
    let recipe = Recipe::fit(&trained, FitRows { rows: &rows, labels: None, clip: 5.0, wishes: &Wishes::new() }).unwrap();
    // Another order of columns and one more.
    let new = [number("age", [f64::NAN, 3.0, 4.0]), number("else", [0.0; 3]), text("colour", ["mauve", "", "red"])];
    let applied = recipe.apply(&new, 3).unwrap();
    let words: Vec<String> = applied.unfamiliar.iter().map(ToString::to_string).collect();
    assert_eq!(words.len(), 2);
    assert_eq!(words[0], "column `colour`: 1 row has a level that no training row had, 1 row has no value, as no training row did");
    assert_eq!(words[1], "column `age`: 1 row has no value, as no training row did");
    assert_eq!(applied.features[[0, 1]], 0.0, "the mean");
    let lacking = recipe.apply(&new[..1], 3).err().unwrap();
    assert_eq!((lacking.exit, lacking.id), (Exit::Data, 724));
    let other = recipe.apply(&[text("age", ["a"; 3]), text("colour", ["red"; 3])], 3).err().unwrap();
    assert_eq!((other.exit, other.id), (Exit::Data, 726));
}

#[test]
fn wide_categories_are_weighed_on_the_labels_side_and_hashed_on_the_other() {
    let levels: Vec<String> = (0..200).map(|i| format!("shop{i}")).collect();
    let cells: Vec<&str> = (0..8000).map(|i| levels[i * 7 % 200].as_str()).collect();
    let shop = text("shop", cells.iter().copied());
    let hashed = fit(&shop);
    assert_eq!((hashed.encoding.name(), hashed.features.len()), ("hash", choose::HASH_BUCKETS));
    assert!((0..8000).all(|row| raw(&hashed, &shop, row).iter().sum::<f64>() == 1.0));
    let labels: Vec<bool> = cells.iter().enumerate().map(|(i, cell)| cell.ends_with('3') || i % 10 == 0).collect();
    let weighed = fit_with(&shop, Some(&labels), ColumnWish::default()).unwrap();
    assert_eq!(names(&weighed), ["shop:woe"]);
    let row = |wanted: &str| cells.iter().position(|cell| *cell == wanted).unwrap();
    assert!(raw(&weighed, &shop, row("shop3"))[0] > 1.0 && raw(&weighed, &shop, row("shop4"))[0] < 0.0);
    let refused = fit_with(&shop, None, wish(Encode::Woe)).unwrap_err();
    assert_eq!((refused.exit, refused.id), (Exit::Usage, 731));
    assert!(!fit(&text("note", (0..4000).map(|i| levels[i % 200].as_str()).take(30))).is_kept(), "texts that differ in every row");
}

#[test]
fn bins_weights_and_hash_can_be_asked_for() {
    let column = number("x", (0..1000).map(|i| f64::from(i % 100)));
    let recipe = fit_with(&column, None, ColumnWish { count: Some(4), ..wish(Encode::Bins) }).unwrap();
    assert_eq!(names(&recipe), ["x:bin1", "x:bin2", "x:bin3"]);
    assert_eq!(raw(&recipe, &column, 0), [0.0; 3]);
    assert_eq!(raw(&recipe, &column, 99), [0.0, 0.0, 1.0]);
    let labels: Vec<bool> = (0..1000).map(|i| i % 100 >= 75).collect();
    let recipe = fit_with(&column, Some(&labels), ColumnWish { count: Some(4), ..wish(Encode::Woe) }).unwrap();
    assert!(raw(&recipe, &column, 99)[0] > 2.0 && raw(&recipe, &column, 0)[0] < -2.0);
    let hash =
        fit_with(&text("t", ["a", "b", "a"].into_iter().cycle().take(60)), None, ColumnWish { count: Some(8), ..wish(Encode::Hash) })
            .unwrap();
    assert_eq!(hash.features.len(), 8);
    for (column, encode) in [(&column, Encode::OneHot), (&column, Encode::Hash)] {
        assert_eq!(fit_with(column, None, wish(encode)).unwrap_err().id, 731);
    }
    assert_eq!(fit_with(&text("t", ["a"; 20]), None, wish(Encode::Bins)).unwrap_err().id, 731);
    let columns = [number("x", [1.0, 2.0])];
    let wishes = Wishes::from([("y".to_owned(), wish(Encode::Plain))]);
    assert_eq!(Recipe::fit(&columns, FitRows { rows: &[0, 1], labels: None, clip: 5.0, wishes: &wishes }).unwrap_err().id, 731);
}

#[test]
fn the_same_rows_give_the_same_bits_in_any_order() {
    let mix = |i: u32| f64::from(i.wrapping_mul(2_654_435_761) >> 8) / 1e5;
    let columns = [number("a", (0..5000).map(mix)), text("b", (0..5000).map(|i| ["x", "y", "", "z"][i * i % 4]))];
    let rows: Vec<usize> = (0..5000).filter(|i| i % 3 > 0).collect();
    let mut shuffled = rows.clone();
    shuffled.sort_by_key(|row| (*row as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let fit = |rows: &[usize]| Recipe::fit(&columns, FitRows { rows, labels: None, clip: 5.0, wishes: &Wishes::new() }).unwrap();
    let recipe = fit(&rows);
    assert_eq!(fit(&shuffled), recipe);
    let (all, some) = (recipe.apply(&columns, 5000).unwrap().features, recipe.apply_rows(&columns, &shuffled).unwrap().features);
    for (place, row) in shuffled.iter().enumerate() {
        assert!(all.row(*row).iter().zip(some.row(place)).all(|(a, b)| a.to_bits() == b.to_bits()));
    }
}

#[test]
fn a_changed_recipe_is_refused() {
    let columns = [text("b", (0..100).map(|i| ["x", "y"][i % 2])), number("a", (0..100).map(f64::from))];
    let rows: Vec<usize> = (0..100).collect();
    let recipe = Recipe::fit(&columns, FitRows { rows: &rows, labels: None, clip: 5.0, wishes: &Wishes::new() }).unwrap();
    let changed = |change: &dyn Fn(&mut Recipe)| {
        let mut recipe = recipe.clone();
        change(&mut recipe);
        recipe.check().unwrap_err()
    };
    changed(&|recipe| recipe.clip = f64::NAN);
    changed(&|recipe| recipe.columns[0].features.clear());
    changed(&|recipe| recipe.columns[1].name = "b".into());
    changed(&|recipe| recipe.columns[1].features[0].sd = Some(0.0));
    changed(&|recipe| recipe.columns[0].encoding = Encoding::Hash { buckets: 0 });
    changed(&|recipe| {
        recipe.columns[0].encoding = Encoding::OneHot { reference: Some("y".into()), levels: vec!["y".into()], rare: false, missing: false }
    });
}
