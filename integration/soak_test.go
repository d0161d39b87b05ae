//go:build integration && soak

// Tier 3, volume and kills, which `make soak` runs: ElasticMQ in place of SQS, behind the build tags "integration" and
// "soak", since it uses tier 2's tools. Faults and their moments come from a seed that is printed. SOAK_SEED=<seed>
// draws the same ones again; processes and sockets may still interleave in another way.

package integration

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"license-deactivator/internal/queue/queuetest"
)

// soakSeed is the seed of the faults and kills of this test.
func soakSeed(t *testing.T) uint64 {
	t.Helper()
	seed := rand.Uint64() //nolint:gosec // faults, not secrets
	if text := os.Getenv("SOAK_SEED"); text != "" {
		given, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("SOAK_SEED: %v", err)
		}
		seed = given
	}
	t.Logf("run with the same faults: make soak SOAK_SEED=%d", seed)
	return seed
}

// rngOf is one of the independent streams of a seed.
func rngOf(seed, stream uint64) *rand.Rand {
	return rand.New(rand.NewPCG(seed, stream)) //nolint:gosec // faults, not secrets
}

//nolint:paralleltest // each soak has the machine to itself: the rates that they print would be each other's
func TestSoakQueueSuite(t *testing.T) {
	queuetest.Run(t, pairsAt(startElasticMQ(t).endpoint), queuetest.Server{
		Name:       "ElasticMQ",
		Deviations: []queuetest.Deviation{queuetest.StaleReceipt},
	})
}
