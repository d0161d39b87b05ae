//go:build integration

package integration

import (
	"testing"

	"license-deactivator/internal/queue"
	"license-deactivator/internal/queue/queuetest"
)

func TestQueueOnMoto(t *testing.T) {
	t.Parallel()
	queuetest.Run(t, pairsAt(motoURL(t)), queuetest.Server{
		Name:       "moto",
		Deviations: []queuetest.Deviation{queuetest.StaleReceipt},
	})
}

func TestQueueWarmOnMoto(t *testing.T) {
	t.Parallel()
	endpoint := motoURL(t)
	if err := queue.OpenSQS(awsConfig(), endpoint, endpoint+"/123456789012/none").Warm(t.Context()); err != nil {
		t.Errorf("Warm: %v", err)
	}
}
