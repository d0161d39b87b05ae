package deactivation

// Codes of a delivery: what is wrong with it. Each has a metric and an alarm, so the list is short and fixed.
const (
	// CodeUnverified: the source is known, and no key verifies the signature, or the webhook secrets hold no key for
	// it.
	CodeUnverified = "unverified"
	// CodeTooLarge: the body is larger than the limit (413).
	CodeTooLarge = "too_large"
	// CodeUnreadable: the delivery is verified, and its body is not an event in the source's format. It is kept for an
	// operator.
	CodeUnreadable = "unreadable"
	// CodeUnknownShape: the delivery is verified and readable, matches none of the rules in the source's file, and no
	// signed type says what it is.
	CodeUnknownShape = "unknown_shape"
)

// DeliveryCodes lists every code of a delivery.
func DeliveryCodes() []string {
	return []string{CodeUnverified, CodeTooLarge, CodeUnreadable, CodeUnknownShape}
}

// CodeReview is the code of an unmappable event that does not lack license data: an operator decides, also if a
// look-up finds a license. It is part of the policy, so no alarm watches it.
const CodeReview = "review"

// CodeSurge is the code of a message that the brake holds, and in watch mode of one that it would hold.
const CodeSurge = "surge"

// CodeNoLicense is the code of a message whose order has no license in LicenseSpring. Such a message is deferred at
// first, since a refund can be faster than the fulfilment of its order.
const CodeNoLicense = "no_license"
