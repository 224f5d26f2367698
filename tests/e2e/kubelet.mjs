// kubelet.mjs: answers GET /pods over TLS as a real kubelet did (tests/golden/k8s/kubelet-pods.json), to who has
// the token; pods and containers of that answer have the uids and ids of those that run here.
//   kubelet.mjs ANSWER CERTIFICATE KEY TOKEN [NAMESPACE/POD/CONTAINER=UID/ID...]    prints the port
import { readFileSync } from 'node:fs';
import https from 'node:https';

const [answer, certificate, key, token, ...pairs] = process.argv.slice(2);
const list = JSON.parse(readFileSync(answer, 'utf8'));
for (const pair of pairs) {
    const [namespace, name, container, uid, id] = pair.split(/[/=]/);
    const pod = list.items.find(({ metadata: m }) => m.namespace === namespace && m.name === name);
    const status = pod.status.containerStatuses.find((c) => c.name === container);
    pod.metadata.uid = uid;
    status.containerID = `containerd://${id}`;
}
const server = https.createServer({ cert: readFileSync(certificate), key: readFileSync(key) }, (request, response) => {
    const refuse = (code, text) => response.writeHead(code, { 'content-type': 'text/plain' }).end(text);
    if (request.headers.authorization !== `Bearer ${token}`) return refuse(401, 'Unauthorized');
    if (request.method !== 'GET' || request.url !== '/pods') return refuse(404, '404 page not found\n');
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(list));
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
