// openapi.mjs: takes the OpenAPI file and an answer, gives what is wrong with the answer. It knows
// the words of JSON Schema that the file uses, and ends on one that it does not know: a rule that is
// not checked would only look like one.

const annotations = new Set(["description", "example", "examples", "default", "contentEncoding"]);

function typeOf(value) {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  return Number.isInteger(value) ? "integer" : typeof value;
}

const rules = {
  type: (want, value) =>
    [want].flat().some((one) => typeOf(value) === one || (one === "number" && typeof value === "number"))
      ? []
      : [`is no ${[want].flat().join(" or ")}`],
  const: (want, value) => (value === want ? [] : [`is not ${JSON.stringify(want)}`]),
  enum: (want, value) => (want.includes(value) ? [] : [`is none of ${JSON.stringify(want)}`]),
  minimum: (want, value) => (value >= want ? [] : [`is less than ${want}`]),
  maximum: (want, value) => (value <= want ? [] : [`is more than ${want}`]),
  minLength: (want, value) => (value.length >= want ? [] : [`is shorter than ${want}`]),
  maxLength: (want, value) => (value.length <= want ? [] : [`is longer than ${want}`]),
  pattern: (want, value) => (new RegExp(want, "u").test(value) ? [] : [`does not match ${want}`]),
  required: (want, value) => want.filter((key) => !(key in value)).map((key) => `lacks ${key}`),
};

export class OpenApi {
  constructor(document) {
    this.document = document;
  }

  resolve(node) {
    if (!node.$ref) return node;
    const found = node.$ref.split("/").slice(1).reduce((at, key) => at?.[key], this.document);
    if (!found) throw new Error(`${node.$ref} leads nowhere`);
    const { $ref, ...beside } = node;
    return { ...this.resolve(found), ...beside };
  }

  /** What is wrong with the value, each with where it is; at most `most` of them. */
  check(unresolved, value, at = "answer", most = 10) {
    const schema = this.resolve(unresolved);
    const wrong = [];
    for (const [word, want] of Object.entries(schema)) {
      if (annotations.has(word)) continue;
      if (rules[word]) {
        wrong.push(...rules[word](want, value).map((what) => `${at} ${what}`));
        if (wrong.length) return wrong; // of a wrong type the other words say nothing
      } else if (word === "items") {
        for (let i = 0; i < value.length && wrong.length < most; i++)
          wrong.push(...this.check(want, value[i], `${at}[${i}]`, most));
      } else if (word === "properties" || word === "additionalProperties") {
        continue;
      } else {
        throw new Error(`the schema's ${word} is not known to this checker`);
      }
    }
    if (typeOf(value) !== "object") return wrong;
    for (const [key, member] of Object.entries(value)) {
      const known = schema.properties?.[key] ?? schema.additionalProperties;
      if (known === false) wrong.push(`${at} has ${key}, which is not described`);
      else if (known && known !== true) wrong.push(...this.check(known, member, `${at}.${key}`, most));
    }
    return wrong.slice(0, most);
  }

  /** A path as it is described: /pods/{namespace}/{pod} for /pods/shop/web. */
  describedPath(path) {
    const fits = (pattern) => new RegExp(`^${pattern.replace(/\{\w+\}/g, "[^/]+")}$`).test(path);
    return Object.keys(this.document.paths).find(fits) ?? path;
  }

  /** What is wrong with an HTTP answer to `method path`. */
  checkAnswer(method, target, answer) {
    const path = this.describedPath(target);
    const operation = this.document.paths[path]?.[method.toLowerCase()];
    if (!operation) return [`${method} ${path} is not described`];
    const unresolved = operation.responses[answer.status];
    if (!unresolved) return [`${method} ${path} answered ${answer.status}, which is not described`];
    const described = this.resolve(unresolved);
    const type = (answer.headers["content-type"] ?? "").split(";")[0];
    const content = described.content[type];
    if (!content) return [`${path} answered ${answer.status} as ${type}, which is not described`];
    const wrong = [];
    for (const [name, header] of Object.entries(described.headers ?? {})) {
      const text = answer.headers[name.toLowerCase()];
      if (text === undefined) wrong.push(`the header ${name} is missing`);
      else wrong.push(...this.check(header.schema, header.schema.type === "integer" ? Number(text) : text, name));
    }
    let value = answer.text;
    if (type === "application/json") {
      try {
        value = JSON.parse(value);
      } catch (error) {
        return [...wrong, `the body is no JSON: ${error.message}`];
      }
    }
    return [...wrong, ...this.check(content.schema, value)];
  }

  /** Every example the file gives, checked against the schema beside it. */
  checkExamples() {
    const wrong = [];
    const visit = (node, at) => {
      if (typeof node !== "object" || node === null) return;
      if (node.schema && "example" in node && typeof node.example !== "undefined" && !node.in)
        wrong.push(...this.check(node.schema, node.example, `${at}.example`));
      for (const [key, child] of Object.entries(node)) if (key !== "example") visit(child, `${at}.${key}`);
    };
    visit(this.document, "openapi");
    return wrong;
  }
}
