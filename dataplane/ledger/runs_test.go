package ledger

import (
	"testing"
	"time"
)

func TestRunRows(t *testing.T) {
	for _, want := range []Run{
		{}, {ID: "eu-west-1/00", Region: "eu-west", Beat: 1<<64 - 1}, {ID: "a", Beat: 7, Fenced: time.Unix(1, 5).UTC()},
	} {
		b, err := EncodeRun(want)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := DecodeRun(b); err != nil || got != want {
			t.Errorf("%+v came back as %+v: %v", want, got, err)
		}
		for n := range b {
			if _, err := DecodeRun(b[:n]); err == nil {
				t.Errorf("%d of %d bytes are a run", n, len(b))
			}
		}
	}
}

func TestTransactionOf(t *testing.T) {
	for reference, want := range map[string]string{
		"tx_01-0": "tx_01", "tx_01-12": "tx_01", "": "", "tx_-1": "", "tx_01": "", "tx_01-": "", "tx_01-x": "", "ch_01-1": "", "tx_01--1": "tx_01-", "tx_01-99999999999": "",
	} {
		got, ok := TransactionOf(reference)
		if got != want || ok != (want != "") {
			t.Errorf("%q is of %q, %v; want %q", reference, got, ok, want)
		}
	}
}
