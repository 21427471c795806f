"""A believable factory to look at: invented people, applications, projects and a year of jobs. Nothing here is real."""
