// told.mjs: what kubectl tells, as lines that the test compares with.
//   told.mjs containers OBJECTS   one of each container that has an id, ended ones too, with tabs between: id, namespace,
//       pod, container, uid of its cgroup, init/ephemeral/static/app, running/ended, the pod's controller as the node can
//       know it, and as the API server does
//   told.mjs counts OBJECTS       one of each namespace: pods, services, objects of each kind, workloads
//   told.mjs answered NAMESPACES  the same of an answer of /api/v1/namespaces
// OBJECTS is a file of `kubectl get -A -o json` of pods, services and all kinds.
import { readFileSync } from 'node:fs';

const [what, file] = process.argv.slice(2);
const given = JSON.parse(readFileSync(file));
const KINDS = ['Deployment', 'StatefulSet', 'DaemonSet', 'ReplicaSet', 'CronJob', 'Job'];

const controller = ({ metadata }) => metadata.ownerReferences?.find((owner) => owner.controller);
const named = ({ kind, name }) => `${kind}/${name}`;

const containers = (items) => {
    const byUid = new Map(items.map((item) => [item.metadata.uid, item]));
    const top = (owner) => {
        const above = controller(byUid.get(owner.uid) ?? { metadata: {} });
        return above ? top(above) : owner;
    };
    const lines = [];
    for (const pod of items.filter(({ kind }) => kind === 'Pod')) {
        const { metadata, status } = pod;
        const hash = metadata.annotations?.['kubernetes.io/config.hash'];
        // The Node that a static pod's mirror belongs to is no workload.
        const owner = hash ? undefined : controller(pod);
        // kubelet's answer ends at the Job, but a Deployment's ReplicaSet bears a label of it.
        const api = owner ? named(top(owner)) : '-';
        const node = owner && owner.kind === 'Job' ? named(owner) : api;
        const add = (kind, status) => {
            const ids = [
                [status.containerID, status.state?.running ? 'running' : 'ended'],
                [status.lastState?.terminated?.containerID, 'ended'],
            ];
            for (const [id, state] of ids)
                if (id)
                    lines.push(
                        [id.split('://')[1], metadata.namespace, metadata.name, status.name, hash ?? metadata.uid, kind, state, node, api].join('\t'),
                    );
        };
        status.containerStatuses?.forEach((s) => add(hash ? 'static' : 'app', s));
        status.initContainerStatuses?.forEach((s) => add('init', s));
        status.ephemeralContainerStatuses?.forEach((s) => add('ephemeral', s));
    }
    return lines;
};

const line = (namespace, pods, services, kinds, workloads) =>
    `${namespace}: ${pods} pods, ${services} services, ` +
    `${KINDS.map((kind) => `${kinds[kind] ?? 0} ${kind}`).join(', ')}; ${workloads} workloads`;

const counts = (items) => {
    const namespaces = new Map();
    for (const item of items) {
        if (item.kind === 'Namespace') continue;
        const of = namespaces.get(item.metadata.namespace) ?? { workloads: 0 };
        namespaces.set(item.metadata.namespace, of);
        of[item.kind] = (of[item.kind] ?? 0) + 1;
        if (KINDS.includes(item.kind) && !controller(item)) of.workloads++;
    }
    return items
        .filter(({ kind }) => kind === 'Namespace')
        .map(({ metadata: { name } }) => [name, namespaces.get(name) ?? { workloads: 0 }])
        .map(([name, of]) => line(name, of.Pod ?? 0, of.Service ?? 0, of, of.workloads));
};

const answered = ({ namespaces }) =>
    namespaces.map((n) => line(n.namespace, n.pods, n.services, n.kinds, n.workloads));

const lines =
    what === 'containers' ? containers(given.items) : what === 'counts' ? counts(given.items) : answered(given);
for (const text of lines.sort()) console.log(text);
