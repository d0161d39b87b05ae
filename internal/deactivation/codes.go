package deactivation

// Codes of a delivery: what is wrong with it. Each has a metric and an alarm, so the list is short and fixed.
const (
	// CodeUnverified: a known source, and no key explains the signature, or the webhook secrets hold no key for it.
	CodeUnverified = "unverified"
	// CodeTooLarge: the body is larger than what is read (413).
	CodeTooLarge = "too_large"
	// CodeUnreadable: verified, and the body is no event in the source's format.
	CodeUnreadable = "unreadable"
	// CodeUnknownShape: verified and readable, and none of the shapes that the source's file knows.
	CodeUnknownShape = "unknown_shape"
)

// DeliveryCodes lists every code of a delivery.
func DeliveryCodes() []string {
	return []string{CodeUnverified, CodeTooLarge, CodeUnreadable, CodeUnknownShape}
}

// CodeNoLicense is the code of a message whose order has no license in LicenseSpring. Such a message is deferred at
// first, since a refund can be faster than the fulfilment of its order.
const CodeNoLicense = "no_license"
