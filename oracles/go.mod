module license-deactivator/oracles

go 1.26.0

require (
	github.com/standard-webhooks/standard-webhooks/libraries v0.0.1
	github.com/stripe/stripe-go/v85 v85.0.0
	github.com/svix/svix-webhooks v1.44.0
	license-deactivator v0.0.0
)

require gopkg.in/validator.v2 v2.0.1 // indirect

replace license-deactivator => ../
