"""The files that take longest. A parallel run begins with them: whichever came last would keep one
processor busy while the others are idle.
"""

from __future__ import annotations

from pathlib import Path

HERE = Path(__file__).parent

# The order matters little. A file that is missing here costs time, and nothing else.
LONGEST = (
    "drills/test_stuck.py",
    "drills/test_changes.py",
    "web/test_contract.py",
    "test_readme.py",
    "deploy/test_lifecycle.py",
    "server/test_hooks.py",
    "server/test_worker.py",
    "telemetry/test_metrics.py",
    "enrollments/test_model_based.py",
    "server/test_slow_clients.py",
    "deploy/test_nginx.py",
    "test_run.py",
    "deploy/test_door.py",
    "deploy/test_backup.py",
    "web/test_raw_path.py",
    "deploy/test_hosts.py",
    "test_migrations_as_sql.py",
    "test_migrations.py",
    "enrollments/test_views.py",
    "web/test_bad_input.py",
)


# These tests take seconds each: most start servers. They get the marker `slow`, so that only
# `make test-all` runs them. A line is a file, a test, or a test with its parameters.
SLOW = (
    "auth/test_api_keys.py::test_every_worker_refuses_a_revoked_key_within_a_second[postgresql]",
    "auth/test_api_keys.py::test_without_the_database_no_key_is_called_unknown",
    "db/test_stale_plans.py::test_a_column_changes_its_type_under_a_running_service",
    "deploy/test_backup.py",
    "deploy/test_compose.py::test_the_service_runs_with_a_role_that_is_not_a_superuser",
    "deploy/test_door.py::test_a_page_may_read_that_the_service_is_down",
    "deploy/test_door.py::test_without_listed_origins_no_origin_gets_cors_headers",
    "deploy/test_hosts.py",
    "deploy/test_lifecycle.py",
    "deploy/test_nginx.py::test_a_401_response_is_sent_slowly",
    "deploy/test_nginx.py::test_tls",
    "deploy/test_units.py",
    "ops/test_demo_term.py::test_no_enrollment_breaks_a_rule[postgresql]",
    "ops/test_health.py::test_postgresql_goes_away_and_comes_back",
    "server/test_hooks.py",
    "server/test_http1.py::test_a_head_is_read_as_gunicorn_reads_it",
    "server/test_one_answer.py::test_stopping_ends_while_clients_go_on_connecting",
    "server/test_slow_clients.py",
    "server/test_worker.py::test_connections_are_spread_over_the_workers",
    "server/test_worker.py::test_extra_threads_serve_while_the_database_is_slow",
    "server/test_worker.py::test_half_a_request_is_given_up_and_blocks_nobody",
    "telemetry/test_metrics.py::test_a_reload_keeps_the_counts_and_a_stop_removes_the_files[sqlite]",
    "telemetry/test_metrics.py::test_any_worker_reports_all_workers_including_dead_ones",
    "telemetry/test_metrics.py::test_the_requests_of_a_killed_worker_are_not_in_flight",
    "telemetry/test_metrics.py::test_unknown_paths_and_methods_add_no_series[sqlite]",
    "test_migrations.py::test_a_database_that_cannot_hold_every_name_is_refused",
    "test_migrations.py::test_an_unusable_database_is_reported_in_one_line",
    "test_migrations.py::test_an_upgrade_waits_for_a_locked_table_and_then_reports_it",
    "test_migrations.py::test_several_instances_upgrading_at_once",
    "test_migrations_as_sql.py",
    "test_readme.py::test_the_commands_of_a_page_give_the_shown_responses[postgresql-gunicorn-",
    "test_readme.py::test_the_commands_of_a_page_give_the_shown_responses[sqlite-nginx-",
    "test_readme.py::test_the_commands_of_the_tour_give_the_shown_responses",
    "test_run.py::test_a_port_in_use_is_reported_in_one_line",
    "test_run.py::test_it_listens_to_other_machines_only_if_auth_is_set",
    "test_run.py::test_no_process_stays_behind[kill of make]",
    "web/test_access.py::test_every_route_admits_the_callers_of_the_table[postgresql]",
    "web/test_contract.py::test_schemathesis_finds_nothing[sqlite-1]",
    "web/test_contract.py::test_schemathesis_gets_nothing_without_its_key",
    "web/test_raw_path.py::test_every_name_that_post_accepts_is_an_address[postgresql]",
)


def position(path: Path) -> int:
    """The place of a test file in `LONGEST`, or the place behind all of them."""
    name = path.relative_to(HERE).as_posix()
    return LONGEST.index(name) if name in LONGEST else len(LONGEST)


def is_slow(nodeid: str) -> bool:
    """Whether `SLOW` has a test, by its id in pytest."""
    return nodeid.removeprefix("tests/").startswith(SLOW)
