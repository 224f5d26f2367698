// cri.mjs: a little of what kubelet says to a container runtime, over its socket (CRI v1), for tests that
// need real pods.
//   cri.mjs SOCKET pod NAME NAMESPACE UID CGROUP_PARENT [LOGS] starts a pod on the host's network, prints its id and the rest;
//       its containers' logs are laid out in LOGS/pods and LOGS/containers. Its label `app` is NAME up to a dash
//   cri.mjs SOCKET container POD NAME IMAGE SPEC COMMAND...    starts a container in it, prints its id; SPEC is JSON:
//       user, pid ("pod" or "container"), add, drop, seccomp ("RuntimeDefault" or "Unconfined"), mounts {to: from}, env {NAME: value}
//   cri.mjs SOCKET stop CONTAINER SECONDS
//   cri.mjs SOCKET remove POD                                  stops and removes it
//   cri.mjs SOCKET remove-all                                  stops and removes all pods
import { mkdirSync, symlinkSync } from 'node:fs';
import http2 from 'node:http2';
import net from 'node:net';

// ---- protobuf: what a message is made of (https://protobuf.dev/programming-guides/encoding)

const varint = (n) => {
    const bytes = [];
    for (n = BigInt(n); n > 127n; n >>= 7n) bytes.push(Number(n & 127n) | 128);
    return Buffer.from([...bytes, Number(n)]);
};
const number = (field, n) => Buffer.concat([varint(field << 3), varint(n)]);
const bytes = (field, b) => Buffer.concat([varint((field << 3) | 2), varint(b.length), b]);
const text = (field, s) => bytes(field, Buffer.from(s));
const join = (parts) => Buffer.concat(parts.flat(Infinity));
const message = (field, ...parts) => bytes(field, join(parts));
const map = (field, pairs) =>
    Object.entries(pairs).map(([key, value]) => message(field, text(1, key), text(2, value)));

function* fields(buffer) {
    let at = 0;
    const read = () => {
        let value = 0n;
        for (let shift = 0n; ; shift += 7n) {
            const byte = buffer[at++];
            value |= BigInt(byte & 127) << shift;
            if (byte < 128) return Number(value);
        }
    };
    while (at < buffer.length) {
        const key = read();
        if ((key & 7) === 0) yield [key >> 3, read()];
        else if ((key & 7) === 2) {
            const length = read();
            yield [key >> 3, buffer.subarray(at, (at += length))];
        } else throw new Error(`wire type ${key & 7}`);
    }
}
const first = (buffer, field) => [...fields(buffer)].find(([f]) => f === field)?.[1];

// ---- gRPC: one message there, one back, five bytes in front of each

const [socket, verb, ...args] = process.argv.slice(2);
const client = http2.connect('http://localhost', { createConnection: () => net.connect(socket) });

const call = (method, body) =>
    new Promise((resolve, reject) => {
        const request = client.request({
            ':method': 'POST',
            ':path': `/runtime.v1.RuntimeService/${method}`,
            'content-type': 'application/grpc',
            te: 'trailers',
        });
        const chunks = [];
        let status;
        const look = (headers) => {
            if (headers['grpc-status'] !== undefined) status = headers;
        };
        request.on('response', look).on('trailers', look).on('error', reject);
        request.on('data', (chunk) => chunks.push(chunk));
        request.on('end', () => {
            if (status?.['grpc-status'] !== '0')
                return reject(new Error(`${method}: ${status?.['grpc-message'] ?? 'no answer'}`));
            resolve(Buffer.concat(chunks).subarray(5));
        });
        const head = Buffer.alloc(5);
        head.writeUInt32BE(body.length, 1);
        request.end(Buffer.concat([head, body]));
    });

// ---- pods; numbers of fields: cri-api's pkg/apis/runtime/v1/api.proto

const NETWORK_OF_NODE = 2;
const PID = { pod: 0, container: 1 };
const SECCOMP = { RuntimeDefault: 0, Unconfined: 1 };

// As kubelet lays them out.
const logsOfPod = ([name, namespace, uid, , logs]) => `${logs}/pods/${namespace}_${name}_${uid}`;

const labels = ([name, namespace, uid]) => ({
    'io.kubernetes.pod.name': name,
    'io.kubernetes.pod.namespace': namespace,
    'io.kubernetes.pod.uid': uid,
});

const sandbox = ([name, namespace, uid, parent, logs]) => [
    message(1, text(1, name), text(2, uid), text(3, namespace)),
    logs ? text(3, logsOfPod([name, namespace, uid, parent, logs])) : [],
    map(6, { app: name.split('-')[0], ...labels([name, namespace, uid]) }),
    message(8, text(1, parent), message(2, message(1, number(1, NETWORK_OF_NODE)), message(9, number(1, 0)))),
];

const container = (pod, name, image, spec, command) => [
    message(1, text(1, name)),
    message(2, text(1, image)),
    command.map((word) => text(3, word)),
    map(6, spec.env ?? {}),
    Object.entries(spec.mounts ?? {}).map(([to, from]) => message(7, text(1, to), text(2, from))),
    map(9, { ...labels(pod), 'io.kubernetes.container.name': name }),
    pod[4] ? text(11, `${name}/0.log`) : [],
    message(
        15,
        message(
            2,
            message(1, (spec.add ?? []).map((cap) => text(1, cap)), (spec.drop ?? []).map((cap) => text(2, cap))),
            message(3, number(1, NETWORK_OF_NODE), number(2, PID[spec.pid ?? 'pod'])),
            message(5, number(1, spec.user ?? 0)),
            message(15, number(1, SECCOMP[spec.seccomp ?? 'RuntimeDefault'])),
        ),
    ),
];

const verbs = {
    async pod(...words) {
        const id = first(await call('RunPodSandbox', message(1, sandbox(words))), 1).toString();
        console.log(`${id} ${words.join(' ')}`);
    },
    // POD: the line that `pod` printed.
    async container(pod, name, image, spec, ...command) {
        const [id, ...words] = pod.split(' ');
        const [podName, namespace, , , logs] = words;
        if (logs) mkdirSync(`${logsOfPod(words)}/${name}`, { recursive: true });
        const made = await call(
            'CreateContainer',
            join([
                text(1, id),
                message(2, container(words, name, image, JSON.parse(spec), command)),
                message(3, sandbox(words)),
            ]),
        );
        await call('StartContainer', bytes(1, first(made, 1)));
        const containerId = first(made, 1).toString();
        if (logs) {
            mkdirSync(`${logs}/containers`, { recursive: true });
            symlinkSync(
                `${logsOfPod(words)}/${name}/0.log`,
                `${logs}/containers/${podName}_${namespace}_${name}-${containerId}.log`,
            );
        }
        console.log(containerId);
    },
    async stop(id, seconds) {
        await call('StopContainer', join([text(1, id), number(2, seconds)]));
    },
    async remove(pod) {
        const [id] = pod.split(' ');
        await call('StopPodSandbox', text(1, id));
        await call('RemovePodSandbox', text(1, id));
    },
    async 'remove-all'() {
        for (const [field, pod] of fields(await call('ListPodSandbox', Buffer.alloc(0))))
            if (field === 1) await verbs.remove(first(pod, 1).toString());
    },
};

try {
    await verbs[verb](...args);
} catch (error) {
    console.error(`cri.mjs ${verb}: ${error.message}`);
    process.exitCode = 1;
}
client.close();
