"""Makes the calls that it reads, one JSON document per line, with the SDKs as an application has them: their own retries are on.

For each call it prints what the application was told, one JSON document per line.
"""

import json
import sys

import openai
import stripe
from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client

RETRIES = 2


def stripe_call(c):
    client = stripe.StripeClient(c["key"], base_addresses={"api": c["url"]}, max_network_retries=RETRIES)
    options = {"idempotency_key": c["idempotency"]} if c["idempotency"] else {}
    if c["call"] == "unknown":
        return {"id": client.v1.customers.create({"description": c["text"]}, options).id}
    if c["call"] == "pay":
        card = {"number": "4242424242424242", "exp_month": 3, "exp_year": 2030, "cvc": "737"}
        pay = {"amount": c["amount"], "currency": "eur", "confirm": True}
        pay["payment_method_data"] = {"type": "card", "card": card, "billing_details": {"name": c["text"]}}
        paid = client.v1.payment_intents.create(pay, options)
        return {"id": paid.id, "text": str(paid.amount), "reason": paid.status}
    if c["call"] == "repay":
        back = client.v1.refunds.create({"payment_intent": c["text"], "amount": c["amount"]}, options)
        return {"id": back.id, "text": str(back.amount), "reason": back.status}
    charge = {"amount": c["amount"], "currency": "eur", "source": "tok_visa", "description": c["text"]}
    return {"id": client.v1.charges.create(charge, options).id}


def openai_call(c):
    client = openai.OpenAI(api_key=c["key"], base_url=c["url"] + "/v1", max_retries=RETRIES)
    headers = {"Idempotency-Key": c["idempotency"]} if c["idempotency"] else {}
    if c["call"] == "unknown":
        job = client.fine_tuning.jobs.create(model="m", training_file=c["text"], extra_headers=headers)
        return {"id": job.id}
    ask = {
        "model": c["model"],
        "messages": [{"role": "user", "content": c["text"]}],
        "max_completion_tokens": c["amount"],
        "extra_headers": headers,
    }
    if c["call"] != "stream":
        whole = client.chat.completions.create(**ask)
        return {"id": whole.id, "text": whole.choices[0].message.content, "reason": whole.choices[0].finish_reason}
    said = {"text": ""}
    try:
        for piece in client.chat.completions.create(**ask, stream=True):
            said["id"] = piece.id
            if piece.choices:
                said["text"] += piece.choices[0].delta.content or ""
                said["reason"] = piece.choices[0].finish_reason or said.get("reason", "")
    except Exception as e:
        e.said = said
        raise
    return said


def twilio_call(c):
    client = Client(c["account"], c["key"])
    client.api.base_url = c["url"]
    if c["call"] == "unknown":
        return {"id": client.calls.create(to=c["to"], from_=c["from"], twiml="<Response/>").sid}
    if c["text"]:
        return {"id": client.messages.create(to=c["to"], from_=c["from"], body=c["text"]).sid}
    return {"id": client.messages.create(to=c["to"], from_=c["from"], media_url=["https://pictures.example/1.png"]).sid}


CALLS = {"stripe": stripe_call, "openai": openai_call, "twilio": twilio_call}


def threw(e):
    told = {"outcome": "threw", "class": type(e).__name__, "kind": "", "status": 0, "code": "", "message": str(e)}
    if isinstance(e, stripe.StripeError):
        told.update(status=e.http_status or 0, message=e.user_message or str(e))
        if e.error:
            told.update(kind=e.error.type, code=e.error.code or "")
    elif isinstance(e, openai.APIError):
        told.update(status=getattr(e, "status_code", 0), code=e.code or "", kind=e.type or "", message=e.message)
    elif isinstance(e, TwilioRestException):
        told.update(status=e.status, code=str(e.code), message=e.msg)
    told.update(getattr(e, "said", {}))
    return told


def run(c):
    try:
        return {"outcome": "returned", **CALLS[c["speaks"]](c)}
    except Exception as e:  # whatever an application would be told
        return threw(e)


for line in sys.stdin:
    print(json.dumps(run(json.loads(line))), flush=True)
