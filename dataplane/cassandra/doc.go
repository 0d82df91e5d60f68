// Package cassandra holds the noun store, on Apache Cassandra: transactions by lightweight transactions at SERIAL, sessions by plain
// quorum writes, so that whole data centres may fail.
//
// It owns the driver's session, the open entries that this process wrote and the goroutines that tidy them and watch the cluster's
// settings. The agent opens one.
package cassandra
