package local

import (
	"errors"
	"time"

	"license-deactivator/internal/lambdaemu"
	"license-deactivator/internal/secrets"
	"license-deactivator/internal/worker"
	"license-deactivator/pkg/managementapi"
)

// lookUp is the look-up of the worker, nil without one. The rate is obeyed as given, like CallsPerSecond.
func (c Config) lookUp() *worker.LookUp {
	stack := worker.Stack{
		CallsPerSecond: c.CallsPerSecond, Instances: 1, LookUp: c.ManagementAPI != "", ManagementCallsPerMinute: int(c.ManagementCallsPerMinute),
	}
	keys := secrets.NewCache(c.LicenseSecret, c.parseManagement)
	part := stack.LookUpPart(managementapi.Config{BaseURL: c.ManagementAPI}, keys, lambdaemu.WorkerTimeout)
	if part != nil {
		part.CallsPerSecond, part.Limits = c.ManagementCallsPerMinute/time.Minute.Seconds(), nil
	}
	return part
}

// parseManagement reads the key of the Management API from the License API's secret.
func (c Config) parseManagement(text string) (secrets.Management, error) {
	key, err := secrets.ParseManagement(text)
	if errors.Is(err, secrets.ErrNoManagementKey) && c.ManagementAPIKey != "" {
		return secrets.Management{Key: c.ManagementAPIKey}, nil
	}
	return key, err
}
