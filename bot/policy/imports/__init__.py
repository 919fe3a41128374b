"""SLO documents of other tools among the policies: where they are found, and Service documents of them."""
