//! Active health checks that feed the balancer.
