// Behind the recipe of docs/verify/jwt.md: says of each JWT on standard input whom it names, or by which error jose refuses it.
import { createLocalJWKSet } from "jose";
import { readFileSync } from "node:fs";

const asked = JSON.parse(readFileSync(0, "utf8"));
const keys = createLocalJWKSet(asked.set);
const verdict = (token) => member(token, keys).then((claims) => claims.sub, (error) => error.code);
console.log(JSON.stringify(await Promise.all(asked.tokens.map(verdict))));
