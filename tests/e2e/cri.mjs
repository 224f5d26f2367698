// cri.mjs: a little of what kubelet says to a container runtime, over its socket (CRI v1), for tests that
// need real pods.
//   cri.mjs SOCKET pod NAME NAMESPACE UID CGROUP_PARENT [LOGS] starts a pod on the host's network, prints its id; its
//       label app is its name up to the first dash. Logs are laid out as kubelet does, in LOGS/pods and LOGS/containers.
//   cri.mjs SOCKET container POD NAME IMAGE SPEC COMMAND...    starts a container in it, prints its id; SPEC is JSON:
//       user, pid ("pod" or "container"), add, drop, seccomp ("RuntimeDefault" or "Unconfined"), mounts {to: from}
//   cri.mjs SOCKET stop CONTAINER SECONDS
//   cri.mjs SOCKET remove POD
//   cri.mjs SOCKET churn COUNT SECONDS CGROUP_PARENT LOGS IMAGE   starts so many pods (churn/churn-NUMBER) within that
//       time, at random, and removes each after some tenths of a second, or some seconds; each calls its thread like
//       itself, and burns CPU
//   cri.mjs SOCKET remove-all                                  stops and removes all pods
import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import http2 from 'node:http2';
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

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

const logsOf = ([name, namespace, uid, , logs]) => `${logs}/pods/${namespace}_${name}_${uid}`;

const sandbox = ([name, namespace, uid, parent, logs]) => [
    message(1, text(1, name), text(2, uid), text(3, namespace)),
    logs ? text(3, logsOf([name, namespace, uid, parent, logs])) : [],
    map(6, {
        app: name.split('-')[0],
        'io.kubernetes.pod.name': name,
        'io.kubernetes.pod.namespace': namespace,
        'io.kubernetes.pod.uid': uid,
    }),
    message(8, text(1, parent), message(2, message(1, number(1, NETWORK_OF_NODE)), message(9, number(1, 0)))),
];

const container = ([, , , , logs], name, image, spec, command) => [
    message(1, text(1, name)),
    message(2, text(1, image)),
    command.map((word) => text(3, word)),
    Object.entries(spec.mounts ?? {}).map(([to, from]) => message(7, text(1, to), text(2, from))),
    map(9, { 'io.kubernetes.container.name': name }),
    logs ? text(11, `${name}/0.log`) : [],
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

const startPod = async (words) => first(await call('RunPodSandbox', message(1, sandbox(words))), 1).toString();

const startContainer = async (pod, words, name, image, spec, command) => {
    const [podName, namespace, , , logs] = words;
    if (logs) {
        fs.mkdirSync(`${logsOf(words)}/${name}`, { recursive: true });
        fs.mkdirSync(`${logs}/containers`, { recursive: true });
    }
    const made = await call(
        'CreateContainer',
        join([text(1, pod), message(2, container(words, name, image, spec, command)), message(3, sandbox(words))]),
    );
    const id = first(made, 1);
    await call('StartContainer', bytes(1, id));
    if (logs) fs.symlinkSync(`${logsOf(words)}/${name}/0.log`, `${logs}/containers/${podName}_${namespace}_${name}-${id}.log`);
    return id.toString();
};

const remove = async (pod) => {
    await call('StopPodSandbox', text(1, pod));
    await call('RemovePodSandbox', text(1, pod));
};

const comeAndGo = async (number, seconds, parent, logs, image) => {
    const burn = 'echo -n $0 >/proc/self/comm; while :; do :; done';
    const uid = randomUUID();
    const words = [`churn-${number}`, 'churn', uid, `${parent}/pod${uid}`, logs];
    await sleep(Math.random() * seconds * 1000);
    const pod = await startPod(words);
    await startContainer(pod, words, 'main', image, {}, ['/bin/sh', '-c', burn, words[0]]);
    await sleep(100 + Math.random() ** 2 * 6000);
    await remove(pod);
};

const verbs = {
    async pod(...words) {
        console.log(`${await startPod(words)} ${words.join(' ')}`);
    },
    // POD: the line that `pod` printed.
    async container(pod, name, image, spec, ...command) {
        const [id, ...words] = pod.split(' ');
        console.log(await startContainer(id, words, name, image, JSON.parse(spec), command));
    },
    async remove(pod) {
        await remove(pod.split(' ')[0]);
    },
    async churn(count, ...rest) {
        await Promise.all(Array.from({ length: Number(count) }, (_, i) => comeAndGo(i + 1, ...rest)));
    },
    async stop(id, seconds) {
        await call('StopContainer', join([text(1, id), number(2, seconds)]));
    },
    async 'remove-all'() {
        for (const [field, pod] of fields(await call('ListPodSandbox', Buffer.alloc(0)))) {
            if (field === 1) await remove(first(pod, 1).toString());
        }
    },
};

try {
    await verbs[verb](...args);
} catch (error) {
    console.error(`cri.mjs ${verb}: ${error.message}`);
    process.exitCode = 1;
}
client.close();
