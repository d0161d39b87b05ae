package worker_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"license-deactivator/internal/queue"
	"license-deactivator/internal/secrets"
	"license-deactivator/internal/telemetry"
	"license-deactivator/internal/throttle"
	"license-deactivator/internal/worker"
	"license-deactivator/pkg/licenseapi"
	"license-deactivator/pkg/licenseapi/licenseapitest"
	"license-deactivator/pkg/managementapi"
)

func TestNewNamesEveryBadField(t *testing.T) {
	t.Parallel()
	_, err := worker.New(worker.Config{})
	for _, field := range []string{"API", "Secrets", "Queue", "DeadLetters", "Recorder", "CallsInFlight", "CallsPerSecond", "Backoff"} {
		if err == nil || !strings.Contains(err.Error(), "worker: "+field+" ") {
			t.Errorf("%s is not named in %v", field, err)
		}
	}

	r := newHarness(t, confirming())
	good := worker.Config{
		API: &licenseapi.Client{}, Secrets: &clocked{}, Queue: r.source, DeadLetters: r.dead,
		Recorder: telemetry.New(io.Discard, slog.LevelInfo, ""), CallsInFlight: 1, CallsPerSecond: 0.1, Backoff: production(),
	}
	withLookUp := good
	lookUpWith(func(*worker.LookUp) {})(&withLookUp)
	for _, cfg := range []worker.Config{good, withLookUp} {
		if _, err := worker.New(cfg); err != nil {
			t.Errorf("a valid configuration is refused: %v", err)
		}
	}
	for name, change := range map[string]func(*worker.Config){
		"CallsInFlight below 1":             func(cfg *worker.Config) { cfg.CallsInFlight = 0 },
		"CallsPerSecond zero":               func(cfg *worker.Config) { cfg.CallsPerSecond = 0 },
		"CallsPerSecond NaN":                func(cfg *worker.Config) { cfg.CallsPerSecond = math.NaN() },
		"CallsPerSecond endless":            func(cfg *worker.Config) { cfg.CallsPerSecond = math.Inf(1) },
		"LookUp.Keys missing":               lookUpWith(func(l *worker.LookUp) { l.Keys = nil }),
		"LookUp.CallsPerSecond zero":        lookUpWith(func(l *worker.LookUp) { l.CallsPerSecond = 0 }),
		"LookUp.CallsPerSecond NaN":         lookUpWith(func(l *worker.LookUp) { l.CallsPerSecond = math.NaN() }),
		"LookUp.AtOnce zero":                lookUpWith(func(l *worker.LookUp) { l.AtOnce = 0 }),
		"LookUp.Limits[1] of no call":       lookUpWith(func(l *worker.LookUp) { l.Limits = []throttle.Limit{{Calls: 1, In: 1}, {In: 1}} }),
		"LookUp.Together of no time":        lookUpWith(func(l *worker.LookUp) { l.Together.Calls = 1 }),
		"managementapi: BaseURL: of no API": lookUpWith(func(l *worker.LookUp) { l.API.BaseURL = "ftp://127.0.0.1/api/v1" }),
		"Backoff falling":                   func(cfg *worker.Config) { cfg.Backoff.Cap = cfg.Backoff.First - 1 },
		"Backoff above SQS's":               func(cfg *worker.Config) { cfg.Backoff.Cap = 13 * time.Hour },
	} {
		bad := good
		change(&bad)
		_, err := worker.New(bad)
		field, _, _ := strings.Cut(name, " ")
		if field == "managementapi:" {
			field += " BaseURL:"
		}
		if err == nil || !strings.Contains(err.Error(), "worker: "+field+" ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// lookUpWith changes a valid configuration of the look-up.
func lookUpWith(change func(*worker.LookUp)) func(*worker.Config) {
	return func(cfg *worker.Config) {
		cfg.LookUp = &worker.LookUp{
			API:  managementapi.Config{BaseURL: "http://127.0.0.1/api/v1"},
			Keys: secrets.NewCache(fixed("{}"), secrets.ParseManagement), CallsPerSecond: 1, AtOnce: 1,
		}
		change(cfg.LookUp)
	}
}

// fixed is a secret store with one secret.
type fixed string

func (f fixed) Read(context.Context) (secrets.Value, error) {
	return secrets.Value{Text: string(f), Version: "1"}, nil
}

func ExampleHandler_Handle() {
	api, err := licenseapitest.New(licenseapitest.State{
		APIKeys: map[string]string{"key": "shared"},
		Licenses: []licenseapitest.License{
			{Product: "XY", LicenseKey: "AAAA-BBBB-CCCC-DDDD", Devices: []string{"hw1"}},
		},
	})
	if err != nil {
		panic(err)
	}
	address, stop, err := api.Start()
	if err != nil {
		panic(err)
	}
	defer stop()
	client, err := licenseapi.New(licenseapi.Config{BaseURL: address, Authorizer: unsigned{}})
	if err != nil {
		panic(err)
	}

	handler, err := worker.New(worker.Config{
		API:           client,
		Secrets:       secrets.NewCache(fixed(`{"api_key":"key","shared_key":"shared"}`), secrets.ParseLicense),
		Queue:         queue.NewMemory(queue.MemoryConfig{}),
		DeadLetters:   queue.NewMemory(queue.MemoryConfig{}),
		Recorder:      telemetry.New(io.Discard, slog.LevelInfo, "worker"),
		CallsInFlight: 10, CallsPerSecond: 10, Backoff: worker.ProductionBackoff(),
		OnOutcome: func(m telemetry.Message) { fmt.Println(m.ID, m.License, m.Outcome) },
	})
	if err != nil {
		panic(err)
	}
	response, err := handler.Handle(context.Background(), events.SQSEvent{Records: []events.SQSMessage{{
		MessageId: "19dd0b57-b21e-4ac1-bd88-01bbb068cb78", ReceiptHandle: "AQEB",
		Body: `{"v":1,"id":"stripe.evt_1.0","action":"deactivate_license","source":"stripe","cause":"refund",` +
			`"product":"XY","license_key":"AAAA-BBBB-CCCC-DDDD","hardware_id":"hw1"}`,
	}}})
	fmt.Println(len(response.BatchItemFailures), "stay in the queue,", err)
	// Output:
	// stripe.evt_1.0 …DDDD deactivated
	// 0 stay in the queue, <nil>
}
