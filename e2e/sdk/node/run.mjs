// Makes the calls that it reads, one JSON document per line, with the SDKs as an application has them: their own retries are on. For each
// call it prints what the application was told, one JSON document per line.
import { createInterface } from 'node:readline';
import OpenAI from 'openai';
import Stripe from 'stripe';
import twilio from 'twilio';

const retries = 2;

const stripeCall = async (c) => {
  const { hostname, port } = new URL(c.url);
  const stripe = new Stripe(c.key, { host: hostname, port, protocol: 'http', maxNetworkRetries: retries });
  const options = c.idempotency ? { idempotencyKey: c.idempotency } : {};
  if (c.call === 'pay') {
    const card = { number: '4242424242424242', exp_month: 3, exp_year: 2030, cvc: '737' };
    const paid = await stripe.paymentIntents.create({
      amount: c.amount, currency: 'eur', confirm: true, payment_method_data: { type: 'card', card, billing_details: { name: c.text } },
    }, options);
    return { id: paid.id, text: String(paid.amount), reason: paid.status };
  }
  if (c.call === 'repay') {
    const back = await stripe.refunds.create({ payment_intent: c.text, amount: c.amount }, options);
    return { id: back.id, text: String(back.amount), reason: back.status };
  }
  const made = c.call === 'unknown'
    ? await stripe.customers.create({ description: c.text }, options)
    : await stripe.charges.create({ amount: c.amount, currency: 'eur', source: 'tok_visa', description: c.text }, options);
  return { id: made.id };
};

const openaiCall = async (c) => {
  const openai = new OpenAI({ apiKey: c.key, baseURL: c.url + '/v1', maxRetries: retries, logLevel: 'off' });
  const options = c.idempotency ? { headers: { 'Idempotency-Key': c.idempotency } } : {};
  if (c.call === 'unknown') return { id: (await openai.fineTuning.jobs.create({ model: 'm', training_file: c.text }, options)).id };
  const ask = { model: c.model, messages: [{ role: 'user', content: c.text }], max_completion_tokens: c.amount };
  if (c.call !== 'stream') {
    const whole = await openai.chat.completions.create(ask, options);
    return { id: whole.id, text: whole.choices[0].message.content, reason: whole.choices[0].finish_reason };
  }
  const said = { text: '' };
  try {
    for await (const piece of await openai.chat.completions.create({ ...ask, stream: true }, options)) {
      said.id = piece.id;
      said.text += piece.choices[0]?.delta?.content ?? '';
      said.reason = piece.choices[0]?.finish_reason ?? said.reason;
    }
  } catch (e) {
    e.said = said;
    throw e;
  }
  return said;
};

const twilioCall = async (c) => {
  const client = twilio(c.account, c.key);
  client.api.baseUrl = c.url;
  const message = { to: c.to, from: c.from };
  if (c.text) message.body = c.text;
  else message.mediaUrl = ['https://pictures.example/1.png'];
  const made = c.call === 'unknown'
    ? await client.calls.create({ to: c.to, from: c.from, twiml: '<Response/>' })
    : await client.messages.create(message);
  return { id: made.sid };
};

const calls = { stripe: stripeCall, openai: openaiCall, twilio: twilioCall };

const run = async (c) => {
  try {
    return { outcome: 'returned', ...(await calls[c.speaks](c)) };
  } catch (e) {
    return {
      outcome: 'threw', class: e.constructor.name, kind: e.type ?? '', status: e.status ?? e.statusCode ?? 0, code: String(e.code ?? ''),
      message: e.message, ...e.said,
    };
  }
};

for await (const line of createInterface({ input: process.stdin })) {
  const told = await run(JSON.parse(line));
  process.stdout.write(JSON.stringify(told) + '\n');
}
