//! What becomes of records that cannot be used.

use std::fs;

use overlay_core::property::Kind;

use super::*;

fn edit(bench: &Bench, id: u32, from: &str, to: &str) {
    let file = bench.scratch.record(id, id, false);
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(file, text.replace(from, to)).unwrap();
}

fn degradations(requests: &[Request]) -> Vec<(LinkId, &str)> {
    let degradation = |request| match request {
        &Request::Degrade { link, ref message } => (link, &**message),
        other => panic!("{other:?}"),
    };
    requests.iter().map(degradation).collect()
}

#[test]
fn a_record_that_cannot_be_read_is_set_aside_alone() {
    let mut bench = Bench::new();
    for id in 1..=3 {
        bench.create(id).unwrap();
    }
    edit(&bench, 1, "\"direct\"", "7");
    edit(&bench, 2, "\"link\": 2", "\"link\": 3");
    let mut bench = bench.restarted();
    let left: Vec<_> = bench.instances().iter().map(|instance| instance.instance).collect();
    assert_eq!(left, [3]);
    for id in [1, 2] {
        assert!(bench.scratch.record(id, id, false).with_extension("bad").exists());
    }
    assert_eq!(bench.create(9), Ok(4), "numbers of records set aside are not given out");
}

#[test]
fn overlays_are_degraded_by_their_bad_records_at_every_attachment() {
    let mut bench = Bench::new();
    for id in 1..=3 {
        bench.create(id).unwrap();
    }
    edit(&bench, 1, "\"direct\"", "7");
    edit(&bench, 2, "{", "");
    let mut bench = bench.restarted();
    for _ in 0..2 {
        bench.attach(&[1, 2, 3, 4], &[]);
        let requests = bench.requests();
        let said = degradations(&requests);
        assert_eq!(said.iter().map(|(link, _)| *link).collect::<Vec<_>>(), [link(1), link(2)]);
        assert!(said[0].1.contains("/1.1.bad: "), "{said:?}");
        assert!(said[1].1.contains("/2.2.bad: "), "{said:?}");
    }
    let mut bench = bench.restarted();
    bench.attach(&[2], &[]);
    let requests = bench.requests();
    assert!(degradations(&requests)[0].1.contains("was set aside earlier as "), "{requests:?}");
    assert_eq!(bench.create(2), Ok(4));
    bench.attach(&[2], &[]);
    assert!(bench.requests().is_empty(), "an overlay that has an instance does without its old record");
}

#[test]
fn an_instance_whose_plugin_is_missing_stays_and_says_so() {
    let mut bench = Bench::new();
    bench.attach(&[1, 2], &[]);
    bench.associated_twin(1);
    bench.create_twin(2, "ready");
    let scratch = bench.scratch;
    let mut bench = Bench::with(scratch, vec![], Script::default());
    assert_eq!(bench.states(), [(1, InstanceState::Active), (2, InstanceState::Created)]);
    let instances = bench.instances();
    assert_eq!((&*instances[0].plugin, &*instances[0].properties[0].spec.name), ("twin", "twin/start"));
    bench.attach(&[1, 2], &[]);
    let requests = bench.requests();
    let said = degradations(&requests);
    assert_eq!((said.len(), said[0].0), (1, link(1)));
    assert!(said[0].1.starts_with("search plugin 'twin' is not there; "), "{said:?}");
    let refused = bench.activate(2).try_recv().unwrap().unwrap_err();
    assert!(refused.message.starts_with("search plugin 'twin' is not there; "), "{refused}");
    bench.look_up(vec![target(1, 1)]);
    assert_eq!(bench.answers(), [told(1, About::Mac(mac(1)), Verdict::Unknown)]);
}

#[test]
fn a_plugin_that_is_there_after_a_hangup_is_started() {
    let mut bench = Bench::new();
    bench.attach(&[1], &[]);
    bench.associated_twin(1);
    let mut bench = Bench::with(bench.scratch, vec![], Script::default());
    bench.attach(&[1], &[]);
    bench.take(Message::Reload { outside: vec![] });
    assert_eq!(bench.requests().len(), 1, "the same trouble is told once");
    bench.take(Message::Reload { outside: vec![Arc::new(Twin::named("twin"))] });
    assert_eq!(bench.call().request, Request::Restore { link: link(1) });
    assert_eq!(bench.accept().instance, 1);
    assert_eq!(bench.states(), [(1, InstanceState::Associated)]);
}

#[test]
fn a_missing_plugin_is_looked_for_until_it_is_there_and_the_others_do_not_notice() {
    let mut bench = Bench::new();
    bench.attach(&[1, 2], &[]);
    bench.associated_twin(1);
    let of_other = bench.create_of(2, "direct", direct()).unwrap();
    bench.associate(of_other);
    let mut bench = Bench::with(bench.scratch, vec![], Script::default());
    assert!(*bench.plugin_is_missing.borrow());
    bench.attach(&[1, 2], &[]);
    bench.requests();
    let twin = Twin::named("twin");
    let script = twin.script();
    let twin: Arc<dyn Plugin> = Arc::new(twin);
    for _ in 0..2 {
        bench.take(Message::Plugins { outside: vec![Arc::clone(&twin)] });
        assert!(!*bench.plugin_is_missing.borrow());
    }
    assert_eq!(script.heard(), [(1, "Started".to_owned())]);
}

/// A record that a hand, or an earlier version of the plugin, has left.
fn of_other_properties() -> Bench {
    let mut bench = Bench::new();
    bench.attach(&[1], &[]);
    let instance = bench.create_of(1, "twin", vec![Assignment::new("twin/count", "77")]).unwrap();
    bench.associate(instance);
    edit(&bench, 1, "77", "many");
    let mut bench = bench.restarted();
    bench.attach(&[1], &[]);
    bench
}

/// Another version of the twin, whose numbers may be words.
fn with_words() -> Twin {
    let mut twin = Twin::named("twin");
    twin.table[1].kind = Kind::String;
    twin
}

#[test]
fn an_instance_whose_plugin_does_not_take_its_properties_stays_and_says_so() {
    let mut bench = of_other_properties();
    let requests = bench.requests();
    let said = degradations(&requests);
    assert!(said[0].1.starts_with("search plugin 'twin' does not take the properties: "), "{said:?}");
    assert_eq!(bench.states(), [(1, InstanceState::Active)]);
    assert!(bench.scratch.record(1, 1, false).exists() && *bench.plugin_is_missing.borrow());
}

#[test]
fn properties_that_a_plugin_does_not_take_can_be_repaired() {
    let mut bench = of_other_properties();
    bench.requests();
    let properties = vec![Assignment::new("twin/count", "3")];
    let mut pending = bench.ask(Request::SetInstanceProperties { link: link(1), properties });
    bench.accept();
    assert_eq!(pending.try_recv().unwrap(), Ok(Response::Done));
    assert_eq!(bench.call().request, Request::Restore { link: link(1) });
    assert_eq!(bench.restarted().states(), [(1, InstanceState::Active)]);
}

#[test]
fn a_plugin_that_takes_the_properties_after_a_hangup_is_started() {
    let mut bench = of_other_properties();
    bench.requests();
    bench.take(Message::Reload { outside: vec![Arc::new(with_words())] });
    assert_eq!(bench.call().request, Request::Restore { link: link(1) });
    bench.accept();
    assert_eq!(bench.states(), [(1, InstanceState::Associated)]);
}

#[test]
fn a_new_declaration_is_in_force_from_the_next_start_where_the_properties_allow() {
    let mut bench = Bench::new();
    bench.create_twin(1, "ready");
    let kind = |bench: &mut Bench| bench.instances()[0].properties[1].spec.kind;
    let before = kind(&mut bench);
    let later = with_words();
    let script = later.script();
    bench.take(Message::Reload { outside: vec![Arc::new(later)] });
    assert_ne!(kind(&mut bench), before);
    bench.attach(&[1], &[]);
    bench.associate(1);
    assert_eq!(script.heard()[0], (1, "Started".to_owned()));
}

#[test]
fn a_record_set_aside_is_forgotten_once_its_overlay_has_another_instance() {
    let mut bench = Bench::new();
    bench.create(1).unwrap();
    edit(&bench, 1, "{", "");
    let mut bench = bench.restarted();
    bench.create(1).unwrap();
    bench.destroy(1).unwrap();
    bench.attach(&[1], &[]);
    assert!(bench.requests().is_empty());
}

#[test]
fn an_instance_whose_plugin_is_missing_can_be_destroyed() {
    let mut bench = Bench::new();
    bench.create_twin(1, "ready");
    let mut bench = Bench::with(bench.scratch, vec![], Script::default());
    assert_eq!(bench.destroy(1), Ok(Response::Done));
    assert!(bench.restarted().instances().is_empty());
}
