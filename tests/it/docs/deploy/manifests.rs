//! What the rendered objects promise.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::kubernetes::{Objects, made_up, rendered};

fn objects() -> Option<Objects> {
    Objects::rendered(&made_up())
}

/// The pods' templates, the Deployment's first.
fn templates(objects: &Objects) -> [&Value; 2] {
    ["Deployment", "Job"].map(|kind| &objects.only(kind)["spec"]["template"])
}

#[test]
fn pods_have_no_rights_that_they_do_not_need() {
    let Some(objects) = objects() else { return };
    for template in templates(&objects) {
        let spec = &template["spec"];
        assert_eq!(spec["enableServiceLinks"], false);
        assert_eq!(spec["automountServiceAccountToken"], false);
        assert_eq!(spec["securityContext"]["runAsNonRoot"], true);
        assert!(spec["securityContext"]["runAsUser"].as_u64().unwrap() > 0);
        assert_eq!(spec["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
        let account = objects.named("ServiceAccount", &spec["serviceAccountName"]);
        assert_eq!(account["automountServiceAccountToken"], false);
        for container in spec["containers"].as_array().unwrap() {
            let expected = json!({
                "allowPrivilegeEscalation": false,
                "readOnlyRootFilesystem": true,
                "capabilities": { "drop": ["ALL"] },
            });
            assert_eq!(container["securityContext"], expected);
            let resources = &container["resources"];
            assert!(resources["requests"]["cpu"].is_string());
            assert!(resources["requests"]["memory"].is_string());
            assert!(resources["limits"]["memory"].is_string());
            let (name, tag) = container["image"].as_str().unwrap().rsplit_once(':').expect("a tag");
            assert_eq!((name, tag), ("registry.example.com/withdrawd", env!("CARGO_PKG_VERSION")));
        }
    }
    let namespace = &objects.only("Namespace")["metadata"]["labels"];
    assert_eq!(namespace["pod-security.kubernetes.io/enforce"], "restricted");
}

#[test]
fn a_replica_is_there_whatever_is_rolled_out_or_drained() {
    let Some(objects) = objects() else { return };
    let spec = &objects.only("Deployment")["spec"];
    assert_eq!(spec["replicas"], 2);
    assert_eq!(spec["strategy"]["rollingUpdate"]["maxUnavailable"], 0);
    let spread = spec["template"]["spec"]["topologySpreadConstraints"].as_array().unwrap();
    let spread: Vec<_> = spread.iter().map(|over| over["topologyKey"].as_str().unwrap()).collect();
    assert_eq!(spread, ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]);
    let budget = &objects.only("PodDisruptionBudget")["spec"];
    assert_eq!(budget["maxUnavailable"], 1);
    assert_eq!(budget["selector"], spec["selector"]);
}

/// Secrets stand in Secrets alone, and pods name them.
#[test]
fn secrets_are_by_reference() {
    let Some(text) = rendered(&made_up()) else { return };
    let objects = Objects(super::yaml(&text));
    let secrets: BTreeSet<_> =
        objects.all("Secret").map(|secret| secret["metadata"]["name"].as_str().unwrap()).collect();
    let mut named = BTreeSet::new();
    for template in templates(&objects) {
        let spec = &template["spec"];
        for variable in spec["containers"][0]["env"].as_array().unwrap() {
            let name = variable["name"].as_str().unwrap();
            if ["URL", "MASTER", "MACAROON"].iter().any(|part| name.ends_with(part)) {
                assert!(variable["value"].is_null(), "{variable}");
                named.extend(variable["valueFrom"]["secretKeyRef"]["name"].as_str());
            }
        }
        for volume in spec["volumes"].as_array().unwrap() {
            for source in volume["projected"]["sources"].as_array().into_iter().flatten() {
                named.extend(source["secret"]["name"].as_str());
            }
        }
    }
    assert_eq!(named, secrets);
    // The migration sees the database's alone.
    let job = templates(&objects)[1].to_string();
    assert!(job.contains("withdrawd-database") && !job.contains("withdrawd-keys"));
    for config in objects.all("ConfigMap") {
        let text = config.to_string();
        assert!(!text.contains("postgres://") && !text.contains("master = "), "{text}");
    }
    // A changed Secret or ConfigMap rolls out, since its name changes.
    for name in secrets {
        let (_, hash) = name.rsplit_once('-').unwrap();
        assert_eq!(hash.len(), 10, "{name}");
    }
    assert!(!text.contains("made up"), "a secret in plain text");
}

#[test]
fn services_lead_to_the_replicas_and_not_to_the_migration() {
    let Some(objects) = objects() else { return };
    let [server, migration] = templates(&objects).map(|template| &template["metadata"]["labels"]);
    let selects = |selector: &Value, labels: &Value| {
        selector.as_object().unwrap().iter().all(|(key, value)| labels[key] == *value)
    };
    let ports = &templates(&objects)[0]["spec"]["containers"][0]["ports"];
    let mut found = BTreeSet::new();
    for service in objects.all("Service") {
        let spec = &service["spec"];
        assert!(selects(&spec["selector"], server) && !selects(&spec["selector"], migration));
        // Inside of the cluster alone.
        assert!(spec["type"].is_null());
        for port in spec["ports"].as_array().unwrap() {
            let target = &port["targetPort"];
            assert!(ports.as_array().unwrap().iter().any(|port| port["name"] == *target));
            assert_ne!(target, "admin");
        }
        let headless = spec["clusterIP"] == "None";
        found.insert((service["metadata"]["name"].as_str().unwrap(), headless));
    }
    let expected =
        [("withdrawd-grpc", false), ("withdrawd-grpc-headless", true), ("withdrawd-lnurl", false)];
    assert_eq!(found, expected.into());
}

#[test]
fn the_ingress_lets_wallets_in_and_nothing_else() {
    let Some(objects) = objects() else { return };
    let spec = &objects.only("Ingress")["spec"];
    let rule = &spec["rules"][0];
    let paths = rule["http"]["paths"].as_array().unwrap().iter();
    let paths: Vec<_> = paths.map(|path| (&path["path"], &path["pathType"])).collect();
    assert_eq!(json!(paths), json!([["/w/", "Prefix"], ["/cb", "Exact"]]));
    for path in rule["http"]["paths"].as_array().unwrap() {
        let backend = json!({ "name": "withdrawd-lnurl", "port": { "name": "http" } });
        assert_eq!(path["backend"]["service"], backend);
    }
    assert_eq!(spec["tls"][0]["hosts"], json!([rule["host"]]));
    let settings =
        objects.all("ConfigMap").find_map(|map| map["data"]["WITHDRAWD__PUBLIC_URL"].as_str());
    assert_eq!(settings.unwrap(), format!("https://{}", rule["host"].as_str().unwrap()));
}

#[test]
fn the_network_is_closed_but_for_what_is_named() {
    let Some(objects) = objects() else { return };
    let [server, migration] = templates(&objects).map(|template| &template["metadata"]["labels"]);
    let (mut into, mut out) = (BTreeMap::new(), BTreeSet::new());
    let mut closed = [false; 2];
    for policy in objects.all("NetworkPolicy") {
        let spec = &policy["spec"];
        assert_eq!(spec["policyTypes"], json!(["Ingress", "Egress"]));
        let chosen = spec["podSelector"]["matchLabels"].as_object().unwrap();
        for (labels, closed) in [server, migration].iter().zip(&mut closed) {
            *closed |= chosen.iter().all(|(key, value)| labels[key] == *value);
        }
        for rule in spec["ingress"].as_array().into_iter().flatten() {
            let [port] = &rule["ports"].as_array().unwrap()[..] else { panic!("{rule}") };
            let before = into.insert(port["port"].as_str().unwrap(), &rule["from"]);
            assert!(before.is_none(), "twice: {rule}");
        }
        for rule in spec["egress"].as_array().into_iter().flatten() {
            assert!(!rule["to"].as_array().unwrap().is_empty(), "open: {rule}");
            for port in rule["ports"].as_array().unwrap() {
                out.insert(port["port"].to_string());
            }
        }
    }
    assert_eq!(closed, [true; 2]);
    let pods = |labels: Value| json!([{ "podSelector": { "matchLabels": labels } }]);
    let namespace = |name: &str| {
        let labels = json!({ "kubernetes.io/metadata.name": name });
        json!([{ "namespaceSelector": { "matchLabels": labels } }])
    };
    // Whoever reaches gRPC can make withdrawals.
    let expected = [
        ("admin", namespace("monitoring")),
        ("grpc", pods(json!({ "withdrawd/grpc-client": "true" }))),
        ("lnurl", namespace("ingress-nginx")),
    ];
    assert_eq!(
        json!(into),
        Value::Object(expected.map(|(port, from)| (port.to_owned(), from)).into_iter().collect())
    );
    assert_eq!(out, ["10009", "4317", "53", "5432"].map(str::to_owned).into());
}
