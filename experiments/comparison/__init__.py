"""SOLO beside other ways to find instances: same films, same steps, as many weights."""
