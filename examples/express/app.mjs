// An Express app that knows its members.
//
//   npm install
//   MEMBER_GATEWAY_SIGNING_KEY=… MEMBER_GATEWAY_SIGNING_KEY_ID=2026-11 MEMBER_GATEWAY_SITE=members.example.org PORT=3000 node app.mjs
import express from 'express';
import { hmacKey, middleware } from '../../verify/member-gateway.mjs';

const { MEMBER_GATEWAY_SIGNING_KEY: key, MEMBER_GATEWAY_SIGNING_KEY_ID: id, MEMBER_GATEWAY_SITE: authority, PORT } = process.env;
const keys = new Map([[id, hmacKey(key)]]);
const app = express();

// Routers that are mounted below a path see a shortened `url`; the verifier takes `originalUrl`.
const members = express.Router();
members.use(middleware(keys, { authority }));
members.use(({ member }, response) => {
  response.type('text').send(`member ${member['x-member-id']} of unit ${member['x-member-unit-id']} (${member['x-member-provider']})\n`);
});

app.use('/public', middleware(keys, { authority, anonymous: true }), (request, response) => {
  const spoken = request.member ? 'a member' : 'everybody';
  response.type('text').send(`the schedule, for ${spoken}${request.get('x-member-id') ? ' and whoever they say they are' : ''}\n`);
});
app.use('/classes', members);
app.listen(Number(PORT), '127.0.0.1');
